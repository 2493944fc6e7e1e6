package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

// Whatever a disk holds: no panic, numbers that grow, and a prefix that reads the same once the rest is cut off and the
// next record is written behind it.
func FuzzRecover(f *testing.F) {
	s := makeSpecimen(f)
	f.Add(s.files["journal"], s.files["checkpoint"])
	f.Add(s.files["journal"][:100], []byte{})
	f.Add([]byte{}, s.files["checkpoint"])
	f.Add(append(header("journal"), appendLine(nil, maxSeq-2, 1, []byte(`{"body":1}`))...), []byte(nil))
	f.Add(append(header("journal"), appendLine(nil, 0, 0, []byte(`null`))...), appendLine(header("checkpoint"), maxSeq, 0, []byte("0")))
	f.Fuzz(func(t *testing.T, journal, cp []byte) {
		base, err := decodeCheckpoint(cp)
		if err == nil && !json.Valid(base.state) {
			t.Fatalf("state %q", base.state)
		}
		got, err := scan(bytes.NewReader(journal), base.seq)
		var newer *NewerError
		if errors.As(err, &newer) {
			return
		}
		if err != nil || got.good > int64(len(journal)) || got.size != int64(len(journal)) || (got.refused == nil) != (got.good == got.size) {
			t.Fatalf("%d bytes: good %d, size %d, refused %v, %v", len(journal), got.good, got.size, got.refused, err)
		}
		seq := base.seq
		for _, r := range got.records {
			if r.Seq <= seq {
				t.Fatalf("record %d behind %d", r.Seq, seq)
			}
			seq = r.Seq
		}
		if got.floor >= maxSeq {
			return
		}
		kept := journal[:got.good:got.good]
		if len(kept) == 0 {
			kept = header("journal")
		}
		kept = appendLine(kept, got.floor+1, max(got.last, base.seq), []byte(`{"kind":"next"}`))
		again, err := scan(bytes.NewReader(kept), base.seq)
		if err != nil || again.refused != nil || len(again.records) != len(got.records)+1 {
			t.Fatalf("after the repair: refused %v, %d records of %d, %v", again.refused, len(again.records), len(got.records)+1, err)
		}
		if n := len(got.records); n > 0 && !reflect.DeepEqual(again.records[:n], got.records) {
			t.Fatalf("after the repair: %+v, before: %+v", again.records[:n], got.records)
		}
	})
}
