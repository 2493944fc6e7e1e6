package journal

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// Any order of appends, checkpoints and restarts: what the files lead to is what a slice in memory holds.
func TestTheJournalIsASliceThatSurvives(t *testing.T) {
	root := memoryDir(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "j")
		if err != nil {
			t.Fatal(err)
		}
		m := &model{dir: dir, settings: Settings{Keep: rapid.IntRange(1, 6).Draw(t, "keep"), MaxBytes: rapid.Int64Range(50, 2000).Draw(t, "bytes")}}
		m.open(t)
		defer func() { m.journal.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append, "checkpoint": m.checkpoint, "restart": m.open, "tear": m.tear, "read": m.read,
			"lose the checkpoint": m.loseCheckpoint,
		})
	})
}

type model struct {
	dir      string
	settings Settings
	journal  *Journal
	written  []Record
	covered  []uint64 // checkpoints, oldest first
}

func (m *model) open(t *rapid.T) {
	if m.journal != nil {
		if err := m.journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j, rec, err := Open(m.dir, m.settings)
	if err != nil {
		t.Fatal(err)
	}
	m.journal = j
	m.compare(t, rec)
}

// compare replays what was recovered: the state is the list of all numbers up to the checkpoint.
func (m *model) compare(t *rapid.T, rec Recovered) {
	var seqs []uint64
	if rec.State != nil {
		if err := json.Unmarshal(rec.State, &seqs); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rec.Records {
		seqs = append(seqs, r.Seq)
	}
	if rec.Incomplete || len(seqs) != len(m.written) {
		t.Fatalf("%d records of %d, incomplete %v: %v", len(seqs), len(m.written), rec.Incomplete, rec.Damage)
	}
	for i, seq := range seqs {
		if seq != m.written[i].Seq {
			t.Fatalf("record %d is number %d, want %d", i, seq, m.written[i].Seq)
		}
	}
}

func (m *model) append(t *rapid.T) {
	var entries []Entry
	for _, body := range rapid.SliceOfN(rapid.StringN(0, 40, 200), 0, 3).Draw(t, "bodies") {
		entries = append(entries, Entry{"note", body})
	}
	records, err := m.journal.AppendAll(entries...)
	if err != nil || len(records) != len(entries) {
		t.Fatalf("%d records of %d entries, %v", len(records), len(entries), err)
	}
	for _, r := range records {
		if n := len(m.written); n > 0 && r.Seq <= m.written[n-1].Seq {
			t.Fatalf("number %d behind %d", r.Seq, m.written[n-1].Seq)
		}
		m.written = append(m.written, r)
	}
}

// checkpoint covers everything, or stops some records before the newest, as a slow caller would.
func (m *model) checkpoint(t *rapid.T) {
	n := len(m.written) - rapid.IntRange(0, 3).Draw(t, "behind")
	if n <= 0 || len(m.covered) > 0 && m.written[n-1].Seq < m.covered[len(m.covered)-1] {
		t.Skip("nothing to cover")
	}
	seqs := []uint64{}
	for _, r := range m.written[:n] {
		seqs = append(seqs, r.Seq)
	}
	if err := m.journal.Checkpoint(seqs[n-1], seqs); err != nil {
		t.Fatal(err)
	}
	m.covered = append(m.covered, seqs[n-1])
}

// tear leaves the beginning of a line behind, as a crash in a write does, and restarts.
func (m *model) tear(t *rapid.T) {
	f, err := os.OpenFile(filepath.Join(m.dir, "journal"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(rapid.StringMatching(`[0-9a-f]{8} [0-9]{0,3} ?`).Draw(t, "torn")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(t)
}

// loseCheckpoint makes the newest checkpoint unreadable: the one before and the records since must hold as much.
func (m *model) loseCheckpoint(t *rapid.T) {
	if len(m.covered) < 2 {
		t.Skip("there is no checkpoint before")
	}
	if err := os.WriteFile(filepath.Join(m.dir, "checkpoint"), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.covered = m.covered[:len(m.covered)-1]
	m.covered = m.covered[len(m.covered)-1:]
	m.open(t)
}

func (m *model) read(t *rapid.T) {
	after := rapid.IntRange(0, len(m.written)).Draw(t, "after")
	limit := rapid.IntRange(0, 5).Draw(t, "limit")
	seq := uint64(0)
	if after > 0 {
		seq = m.written[after-1].Seq
	}
	got, err := m.journal.Read(seq, limit)
	if err != nil {
		t.Fatal(err)
	}
	outside, err := History(m.dir, seq, limit)
	if err != nil || len(outside) != len(got) {
		t.Fatalf("%d records from outside, %d from inside, %v", len(outside), len(got), err)
	}
	if len(got) == 0 {
		return
	}
	first := 0
	for m.written[first].Seq != got[0].Seq {
		first++
	}
	if first != after && after >= len(m.written)-1 {
		t.Fatalf("the newest record is not there")
	}
	for i, r := range got {
		if w := m.written[first+i]; r.Seq != w.Seq || string(r.Body) != string(w.Body) || string(outside[i].Body) != string(w.Body) {
			t.Fatalf("record %+v, want %+v", r, w)
		}
	}
}
