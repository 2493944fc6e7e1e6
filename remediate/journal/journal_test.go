package journal

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

type note struct {
	Text string `json:"text"`
}

func mustOpen(t testing.TB, dir string, s Settings) (*Journal, Recovered) {
	t.Helper()
	j, rec, err := Open(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return j, rec
}

func mustAppend(t testing.TB, j *Journal, kind string, body any) Record {
	t.Helper()
	rec, err := j.Append(kind, body)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func mustClose(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasAppendedIsThereAfterReopening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.FixedZone("CET", 3600))
	j, _ := mustOpen(t, dir, Settings{Now: func() time.Time { return at }})
	want := []Record{
		mustAppend(t, j, "take.intent", note{"web/app1\n<&>"}),
		mustAppend(t, j, "take.done", nil),
		mustAppend(t, j, "hold", json.RawMessage("{ \"a\":\n 1 }")),
	}
	mustClose(t, j)

	j, rec := mustOpen(t, dir, Settings{})
	if !reflect.DeepEqual(rec, Recovered{Records: want}) {
		t.Fatalf("recovered %+v\nwant records %+v", rec, want)
	}
	got, err := j.Read(1, 10)
	if err != nil || !reflect.DeepEqual(got, want[1:]) {
		t.Errorf("read %+v, %v", got, err)
	}
	if next := mustAppend(t, j, "hold", 1); next.Seq != 4 {
		t.Errorf("the next record is %d", next.Seq)
	}
}
