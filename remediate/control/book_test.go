package control

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

func openBook(t testing.TB, dir string) *Book {
	t.Helper()
	j, recovered, err := journal.Open(dir, journal.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBook(j, recovered)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBookRemembersOverARestartWithAndWithoutACheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	target := remediate.Target{Balancer: "edge", Backend: "web", Server: "s0"}
	b := openBook(t, dir)
	if _, err := b.Append(remediate.KindOrder, remediate.OrderRecord{Target: target, Order: remediate.Order{Want: remediate.Drain, By: "alice"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Freeze("bob", "storm"); err != nil {
		t.Fatal(err)
	}
	for range checkpointEvery + 10 { // beyond a checkpoint
		b.Saw(Sighting{What: "filler"})
	}
	if err := b.journal.Close(); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	for range 2 { // after the kill, and after a clean stop
		b = openBook(t, dir)
		if o := b.Ledger().Orders[target]; o.By != "alice" || o.Seq != 1 {
			t.Errorf("the order reads %+v", o)
		}
		if f := b.Ledger().Frozen; f == nil || f.By != "bob" {
			t.Errorf("frozen reads %v", f)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A journal with a hole must not have us undo what we may no longer own.
func TestBookFreezesAutomationWhenRecordsAreMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	b := openBook(t, dir)
	for range 20 {
		b.Saw(Sighting{What: "filler"})
	}
	if err := b.journal.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "journal")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 0x20
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	b = openBook(t, dir)
	defer b.Close()
	if f := b.Ledger().Frozen; f == nil || f.By != "lbmedic" {
		t.Errorf("frozen reads %v", f)
	}
	if err := b.Thaw("alice", ""); err != nil || b.Ledger().Frozen != nil {
		t.Errorf("after thaw: %v, %v", b.Ledger().Frozen, err)
	}
}

func TestFreezeWakesTheLoops(t *testing.T) {
	b := openBook(t, filepath.Join(t.TempDir(), "state"))
	defer b.Close()
	woken := make(chan struct{}, 1)
	stop := b.onChange(func() { woken <- struct{}{} })
	if err := b.Freeze("alice", ""); err != nil {
		t.Fatal(err)
	}
	select {
	case <-woken:
	case <-time.After(5 * time.Second):
		t.Error("nobody was woken")
	}
	stop()
	if err := b.Thaw("alice", ""); err != nil || len(woken) != 0 {
		t.Errorf("woken %d times after it asked not to be, %v", len(woken), err)
	}
}
