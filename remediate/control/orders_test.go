package control

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate"
)

// An operator who is told no does not expect the server to go later.
func TestAnOrderThatIsRefusedIsNotCarriedOutLater(t *testing.T) {
	f := newFarm(t, 1, 4, remediate.DefaultPolicy())
	order := Order{Backend: "b0", Server: "s0", Want: remediate.Maint, By: "alice"}
	f.stale = 6 * time.Second
	var refused *remediate.Refusal
	if err := f.ctl.Do(t.Context(), order); !errors.As(err, &refused) || refused.Reason != remediate.HoldStaleView {
		t.Errorf("got %v", err)
	}
	f.stale, f.result = 0, remediate.Refused
	if err := f.ctl.Do(t.Context(), order); err == nil {
		t.Error("a refusal went unsaid")
	}
	f.done()
	f.result = remediate.Done
	f.ctl.round(t.Context())
	if acts := f.done(); len(acts) != 0 || len(f.book.Ledger().Orders) != 0 {
		t.Errorf("later: %v, orders %v", acts, f.book.Ledger().Orders)
	}
}

func TestAnOrderStandsAgainWhenItsSuccessorIsRefused(t *testing.T) {
	f := newFarm(t, 1, 4, remediate.DefaultPolicy())
	if err := f.ctl.Do(t.Context(), Order{Backend: "b0", Server: "s0", Want: remediate.Drain, By: "alice"}); err != nil {
		t.Fatal(err)
	}
	f.result = remediate.Refused
	if err := f.ctl.Do(t.Context(), Order{Backend: "b0", Server: "s0", Want: remediate.Maint, By: "bob"}); err == nil {
		t.Error("a refusal went unsaid")
	}
	if o := f.book.Ledger().Orders[f.ctl.target("b0", "s0")]; o.By != "alice" || o.Want != remediate.Drain || !o.Applied {
		t.Errorf("got %+v", o)
	}
}

func TestAnOrderOutlastsItsServerForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, 4, remediate.DefaultPolicy())
		target := f.ctl.target("b0", "s3")
		stands := func() bool { return has(f.book.Ledger().Orders, target) }
		if err := f.ctl.Do(t.Context(), Order{Backend: "b0", Server: "s3", Want: remediate.Drain, By: "alice"}); err != nil {
			t.Fatal(err)
		}
		s3 := *f.row(0, 3)
		f.change(func(f *farm) { f.world.Backends[0].Servers = f.world.Backends[0].Servers[:3] })
		f.run(59 * time.Minute)
		i := slices.IndexFunc(f.ctl.Status().Servers, func(s ServerStatus) bool { return s.Server == "s3" })
		if !stands() || i < 0 || f.ctl.Status().Servers[i].State != "gone" || f.ctl.Status().Servers[i].SetBy != "alice" {
			t.Fatalf("stands %v, status %+v", stands(), f.ctl.Status().Servers)
		}
		s3.Admin = 0 // the config brings it back as new
		f.change(func(f *farm) {
			f.world.Backends[0].Servers = append(f.world.Backends[0].Servers, s3)
			f.world.Generation.PID++
		})
		f.done()
		f.run(time.Second)
		if acts := f.done(); !slices.Equal(acts, []string{"drain b0/s3"}) {
			t.Errorf("when it is back: %v", acts)
		}
		f.change(func(f *farm) { f.world.Backends[0].Servers = f.world.Backends[0].Servers[:3] })
		f.run(59 * time.Minute)
		if !stands() {
			t.Error("the time did not begin anew")
		}
		f.run(2 * time.Minute)
		if stands() {
			t.Error("it stands for ever")
		}
	})
}

func TestReadyEndsAnOrderOnAServerThatIsGone(t *testing.T) {
	f := newFarm(t, 2, 4, remediate.DefaultPolicy())
	if err := f.ctl.Do(t.Context(), Order{Backend: "b1", Server: "s0", Want: remediate.Drain, By: "alice"}); err != nil {
		t.Fatal(err)
	}
	f.world.Backends = f.world.Backends[:1]
	if err := f.ctl.Do(t.Context(), Order{Backend: "b1", Server: "s0", Want: remediate.Ready, By: "alice"}); err != nil || len(f.book.Ledger().Orders) != 0 {
		t.Errorf("got %v, orders %v", err, f.book.Ledger().Orders)
	}
}

func TestReleaseGoesOnAfterAServerThatFails(t *testing.T) {
	f := newFarm(t, 1, 8, remediate.DefaultPolicy())
	f.take([2]int{0, 0}, [2]int{0, 1}, [2]int{0, 2})
	f.during = func(a remediate.Action) {
		f.change(func(f *farm) {
			f.result = remediate.Done
			if a.Target.Server == "s0" {
				f.result = remediate.Refused
			}
		})
	}
	released, err := f.ctl.Release(t.Context(), "alice", nil)
	if len(released) != 2 || err == nil || !strings.Contains(err.Error(), "b0/s0") || len(f.book.Ledger().Takes) != 1 {
		t.Errorf("released %v, %v, takes %v", released, err, f.book.Ledger().Takes)
	}
}

// Without the override automation would take the server a moment after the operator's word.
func TestReadyKeepsAutomationAwayFromAFailingServer(t *testing.T) {
	f := newFarm(t, 1, 8, enforce())
	f.say(healthd.Fail, "b0/s0")
	if err := f.ctl.Do(t.Context(), Order{Backend: "b0", Server: "s0", Want: remediate.Ready, By: "alice"}); err != nil {
		t.Fatal(err)
	}
	f.done()
	f.ctl.round(t.Context())
	if acts, would := f.done(), f.ctl.Status().Servers[0].Would; len(acts) != 0 || !strings.Contains(would, string(remediate.HoldOverride)) {
		t.Errorf("did %v, would %q", acts, would)
	}
}

func TestAServerThatSomebodyForcedDownIsNotBlamedOnACheck(t *testing.T) {
	row := Row("b0", remediate.Server{Name: "s0", Checked: true, CheckOff: true, Oper: remediate.OperDown, Weight: 1})
	if row.SetBy != "somebody" || row.Why != "health forced at the socket" {
		t.Errorf("got %+v", row)
	}
}

// Waiting for a drain must not read a large balancer as fast as it can.
func TestAWaitForADrainRestsBetweenItsLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, 4, remediate.DefaultPolicy())
		f.slow = 100 * time.Millisecond
		time.AfterFunc(9500*time.Millisecond, func() { f.change(func(f *farm) { f.row(0, 0).Admin = remediate.ForcedDrain }) })
		var told []string
		if err := f.ctl.AwaitDrained(t.Context(), "b0", "s0", func(p Progress) { told = append(told, p.Detail) }); err != nil {
			t.Fatal(err)
		}
		if f.observed != 0 || f.uses < 9 || f.uses > 11 || told[0] != "it is in service" {
			t.Errorf("%d looks at everything, %d at the server; told %q", f.observed, f.uses, told)
		}
	})
}
