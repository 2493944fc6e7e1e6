package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate"
)

// run runs the controller in the bubble for some time and gives how often it looked.
func (f *farm) run(d time.Duration) (looks int) {
	ctx, cancel := context.WithTimeout(f.t.Context(), d)
	defer cancel()
	f.change(func(f *farm) { looks = -f.observed })
	if err := f.ctl.Run(ctx); err != nil {
		f.t.Error(err)
	}
	f.change(func(f *farm) { looks += f.observed })
	return looks
}

// The order on a backend that a reload took away would be due in the past for ever.
func TestAPlanForABackendThatIsGoneWakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 2, 4, remediate.DefaultPolicy())
		if err := f.ctl.Do(t.Context(), Order{Backend: "b1", Server: "s0", Want: remediate.Maint, By: "alice", For: 2 * time.Second}); err != nil {
			t.Fatal(err)
		}
		f.run(time.Second)
		f.change(func(f *farm) { f.world.Backends = f.world.Backends[:1] })
		if looks := f.run(10 * time.Second); looks > 25 {
			t.Errorf("%d looks in 10 s", looks)
		}
	})
}

func TestAFreezeStopsWhatIsUnderWay(t *testing.T) {
	f := newFarm(t, 1, 10, enforce())
	f.take([2]int{0, 0}, [2]int{0, 1})
	f.during = func(remediate.Action) {
		if err := f.book.Freeze("bob", "stop"); err != nil {
			t.Error(err)
		}
	}
	f.ctl.round(t.Context())
	if acts := f.done(); len(acts) != 1 {
		t.Errorf("a freeze during the first step, and then %v", acts)
	}
}

// b1/s0 goes down with b0/s0, which it tracks: after that b1 has none to spare.
func TestEachTakeIsDecidedOnALookOfItsOwn(t *testing.T) {
	f := newFarm(t, 2, 4, enforce())
	f.row(1, 0).Tracks = "b0/s0"
	f.row(1, 3).Oper = remediate.OperDown
	f.say(healthd.Fail, "b0/s0", "b1/s1")
	f.during = func(remediate.Action) { f.change(func(f *farm) { f.row(1, 0).Oper = remediate.OperDown }) }
	for range 3 {
		f.ctl.round(t.Context())
	}
	if acts := f.done(); len(acts) != 1 || acts[0] != "force-down b0/s0" {
		t.Errorf("got %v", acts)
	}
}

func TestRowsOfOneAddressAreTakenTogether(t *testing.T) {
	f := newFarm(t, 1, 12, enforce())
	f.row(0, 1).Address = f.row(0, 0).Address
	f.say(healthd.Fail, "b0/s0", "b0/s1", "b0/s5")
	f.ctl.round(t.Context())
	if acts := f.done(); !slices.Equal(acts, []string{"force-down b0/s0", "force-down b0/s1"}) {
		t.Errorf("got %v", acts)
	}
}

// Somebody lifted our take by hand, and the balancer refuses to switch the check on again.
func TestAStepThatIsRefusedDoesNotSpin(t *testing.T) {
	for _, result := range []remediate.Result{remediate.Refused, remediate.Missed} {
		synctest.Test(t, func(t *testing.T) {
			f := newFarm(t, 1, 4, enforce())
			f.say(healthd.Fail, "b0/s1") // it would be taken; the other's passes, which ends an override at once
			f.take([2]int{0, 0})
			f.row(0, 0).Oper = remediate.OperUp
			f.result = result
			before := f.book.Last()
			if looks := f.run(10 * time.Second); looks > 30 {
				t.Errorf("%s: %d looks in 10 s", result, looks)
			}
			if n := f.book.Last() - before; n > 100 {
				t.Errorf("%s: %d records in 10 s", result, n)
			}
		})
	}
}

func TestAStormIsToldInFewRecords(t *testing.T) {
	f := newFarm(t, 20, 10, enforce())
	f.say(healthd.Fail)
	f.ctl.round(t.Context())
	records, err := f.book.Read(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	held, last := 0, ""
	for _, r := range records {
		if strings.Contains(string(r.Body), `"held"`) {
			held, last = held+1, string(r.Body)
		}
	}
	if held != maxTold+1 || !strings.Contains(last, fmt.Sprintf("and %d more", 200-maxTold)) {
		t.Errorf("%d records, the last %s", held, last)
	}
	before := f.book.Last()
	f.ctl.round(t.Context())
	if f.book.Last() != before {
		t.Error("what is told already is told again")
	}
}

// A sidecar that flaps wakes the loop all the time; a look at this balancer takes a tenth of a second.
func TestALoopThatIsWokenAllTheTimeRestsBetweenItsLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, 4, remediate.DefaultPolicy())
		f.slow = 100 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var flapping sync.WaitGroup
		flapping.Go(func() {
			for ctx.Err() == nil {
				f.ctl.Wake()
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
		defer flapping.Wait()
		if looks := f.run(10 * time.Second); looks < 18 || looks > 21 {
			t.Errorf("%d looks in 10 s", looks)
		}
	})
}

func TestAnIdleLoopIsWokenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, 4, remediate.DefaultPolicy())
		f.slow = 10 * time.Millisecond
		begun := time.Now()
		time.AfterFunc(300*time.Millisecond, f.ctl.Wake)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-f.ctl.Looked()
			for f.ctl.Status().Read.Sub(begun) < 100*time.Millisecond {
				<-time.After(time.Millisecond)
			}
			cancel()
		}()
		if err := f.ctl.Run(ctx); err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d > 320*time.Millisecond {
			t.Errorf("woken after 300 ms, it looked after %s", d)
		}
	})
}

func TestAJournalThatFailedIsTriedAgain(t *testing.T) {
	f := newFarm(t, 1, 4, remediate.DefaultPolicy())
	why := "no space left on device"
	f.book.broken.Store(&why)
	f.ctl.round(t.Context())
	if why := f.book.Broken(); why != "" {
		t.Errorf("it still reads %q", why)
	}
	last := f.book.Last()
	f.book.broken.Store(&why)
	if f.book.retry(f.book.tried.Add(retryEvery - 1)); f.book.Last() != last {
		t.Error("it was tried again within a second")
	}
}

func TestFollowersAreFoundThroughOthers(t *testing.T) {
	f := newFarm(t, 4, 2, remediate.DefaultPolicy())
	f.row(1, 0).Tracks = "b0/s0"
	f.row(2, 1).Tracks = "b1/s0"
	f.row(0, 1).Tracks = "b0/s0"
	f.row(3, 0).Tracks = "b3/s1" // a ring: HAProxy has none
	f.row(3, 1).Tracks = "b3/s0"
	got := followers(f.world.Backends)
	if want := [][]int{{1, 2}, {2}, nil, nil}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestASuccessorWaitsForItsPredecessorsTurn(t *testing.T) {
	f := newFarm(t, 1, 4, remediate.DefaultPolicy())
	f.ctl.round(t.Context())
	next := f.controller(remediate.DefaultPolicy())
	next.Inherit(f.ctl)
	if len(next.Status().Servers) != 4 {
		t.Error("it does not know what was seen")
	}
	if err := f.ctl.myTurn(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	order := Order{Backend: "b0", Server: "s0", Want: remediate.Maint, By: "alice"}
	if err := next.Do(ctx, order); err == nil {
		t.Error("two act at once")
	}
	f.ctl.turnOver()
	if err := next.Do(t.Context(), order); err != nil {
		t.Error(err)
	}
}

// One of twenty sidecars has answered, and fails: that says nothing yet about the nineteen.
func TestTheFleetIsJudgedOnceMostOfItWasHeard(t *testing.T) {
	f := newFarm(t, 1, 20, enforce())
	for url, sc := range f.sidecars.all {
		if url != f.world.Backends[0].Sidecars["s0"] {
			sc.heard, sc.known, sc.evidence = false, false, remediate.Evidence{}
		}
	}
	f.say(healthd.Fail, "b0/s0")
	f.ctl.round(t.Context())
	if would := f.ctl.Status().Servers[0].Would; !strings.Contains(would, string(remediate.HoldCorrelated)) || len(f.done()) != 0 {
		t.Errorf("it would %q", would)
	}
	for _, sc := range f.sidecars.all { // nobody there, but for two
		sc.heard = true
	}
	f.sidecars.all[f.world.Backends[0].Sidecars["s1"]].known = true
	f.say(healthd.Pass, "b0/s1")
	if fleet := f.sidecars.Fleet(); fleet.Targets != 2 || fleet.Failing != 1 {
		t.Errorf("got %+v", fleet)
	}
}
