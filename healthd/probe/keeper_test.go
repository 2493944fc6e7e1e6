package probe

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// kept is a board with its keeper, which may be restarted.
type kept struct {
	t      *testing.T
	dir    string
	board  *Board
	keeper *Keeper
	stop   func()
}

func newKept(t *testing.T) *kept {
	k := &kept{t: t, dir: t.TempDir()}
	k.start()
	t.Cleanup(func() { k.stop() })
	return k
}

func (k *kept) start() {
	k.t.Helper()
	var err error
	problem := func(err error) { k.t.Errorf("problem: %v", err) }
	if k.board, err = NewBoard(Settings{Services: []Service{{Name: "api"}, {Name: "web"}}, Dir: k.dir, Problem: problem}); err != nil {
		k.t.Fatal(err)
	}
	if k.keeper, err = NewKeeper(k.board); err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.keeper.Run(ctx) }()
	k.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			k.t.Error(err)
		}
	}
	synctest.Wait()
}

func (k *kept) take(owner string, state healthd.AdminState, last time.Duration) {
	k.t.Helper()
	lease := healthd.Lease{Owner: owner, State: state}
	if last > 0 {
		lease.Until = time.Now().Add(last)
	}
	if _, err := k.keeper.Take("web", lease); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kept) is(want healthd.AdminState, by string) {
	k.t.Helper()
	synctest.Wait()
	svc, _ := k.board.Latest().Service("web")
	if svc.Admin.State != want || svc.Admin.By != by {
		k.t.Errorf("%s: %s by %q, want %s by %q", time.Now().Format(time.TimeOnly), svc.Admin.State, svc.Admin.By, want, by)
	}
	if other, _ := k.board.Latest().Service("api"); other.Admin.State != healthd.Ready {
		k.t.Error("another service was ordered out")
	}
}

func TestALeaseEndsAtItsTimeAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		k.take("alice", healthd.Drain, time.Hour)
		k.is(healthd.Drain, "alice")
		time.Sleep(time.Hour - time.Nanosecond)
		k.is(healthd.Drain, "alice")
		time.Sleep(time.Nanosecond)
		k.is(healthd.Ready, "the end of its time")
		after := k.board.Latest().Generation
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if now := k.board.Latest().Generation; now != after {
			t.Errorf("something changed after the end: generation %d, then %d", after, now)
		}
	})
}

func TestALeaseStandsOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		k.take("alice", healthd.Drain, time.Hour)
		for range 3 {
			k.stop()
			k.start()
			k.is(healthd.Drain, "alice")
		}
		k.stop()
		time.Sleep(2 * time.Hour) // it ends while nobody is there to see it
		k.start()
		k.is(healthd.Ready, "the end of its time")
		k.stop()
		k.start()
		k.is(healthd.Ready, "the end of its time")
	})
}

func TestASecondDrainDoesNotCutTheFirstShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		k.take("alice", healthd.Drain, time.Hour)
		k.take("deploy", healthd.Drain, time.Minute)
		k.is(healthd.Drain, "alice, deploy")
		time.Sleep(time.Minute)
		k.is(healthd.Drain, "alice")
		k.take("deploy", healthd.Maint, 0)
		k.is(healthd.Maint, "deploy")
		if _, err := k.keeper.End("web", "deploy", false); err != nil {
			t.Fatal(err)
		}
		k.is(healthd.Drain, "alice")
		if _, err := k.keeper.End("web", "nobody", false); err != nil {
			t.Fatal(err)
		}
		k.is(healthd.Drain, "alice")
		if _, err := k.keeper.End("web", "bob", true); err != nil {
			t.Fatal(err)
		}
		k.is(healthd.Ready, "bob")
	})
}

// A crash leaves one file newer than the other: the next start puts the board where the leases are, or ends what is over.
func TestWhateverFileACrashLeavesTheStartIsRight(t *testing.T) {
	for name, c := range map[string]struct {
		lost string // the file that was not written any more
		do   func(*kept)
		want healthd.AdminState
		by   string
	}{
		"a drain, the board's file": {ordersFile, func(k *kept) { k.take("alice", healthd.Drain, 0) }, healthd.Drain, "alice"},
		"an end, the leases' file": {leasesFile, func(k *kept) {
			if _, err := k.keeper.End("web", "bob", true); err != nil {
				k.t.Fatal(err)
			}
		}, healthd.Drain, "bob"}, // it was not answered yet, so it may stand
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKept(t)
				k.take("bob", healthd.Drain, time.Hour)
				if c.lost == ordersFile {
					if _, err := k.keeper.End("web", "bob", true); err != nil {
						t.Fatal(err)
					}
				}
				path := filepath.Join(k.dir, c.lost)
				before, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				c.do(k)
				k.stop()
				if err := os.WriteFile(path, before, 0o600); err != nil {
					t.Fatal(err)
				}
				k.start()
				k.is(c.want, c.by)
				time.Sleep(2 * time.Hour)
				if c.want == healthd.Drain && c.by == "bob" {
					k.is(healthd.Ready, "the end of its time")
				}
			})
		})
	}
}

func TestLeasesThatCannotBeReadAreSetAside(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{leasesFile, weightsFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := NewBoard(Settings{Dir: dir, Services: []Service{{Name: "web"}}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeeper(b)
	if err == nil || k == nil {
		t.Errorf("leases: %v, %v", k, err)
	}
	w, err := NewWeights(dir)
	if err == nil || w == nil {
		t.Errorf("weights: %v, %v", w, err)
	}
	for _, name := range []string{leasesFile, weightsFile} {
		if _, err := os.Stat(filepath.Join(dir, name+".bad")); err != nil {
			t.Error(err)
		}
	}
}
