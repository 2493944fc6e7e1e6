package healthd

import (
	"maps"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A balancer hears `ready` only if it heard our drain or maint before, then for ReturnFor from the first it took and at least Returns
// times, and never while the order stands.
func TestReadyIsOnlyTheEdgeThatEndsOurOwn(t *testing.T) {
	type debt struct {
		left  int
		until time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		var ledger Ledger
		order, now := Ready, t0
		owed := map[string]debt{} // the model
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, ReturnFor - 1, ReturnFor}).Draw(t, "later"))
			if rapid.IntRange(0, 4).Draw(t, "what") == 0 {
				order = rapid.SampledFrom([]AdminState{Ready, Drain, Maint}).Draw(t, "order")
				continue
			}
			who := strconv.Itoa(rapid.IntRange(1, 4).Draw(t, "who"))
			word, ok, next, changed := ledger.Say(who, order, now)
			if changed == maps.Equal(ledger, next) {
				t.Fatalf("changed is %v from %v to %v", changed, ledger, next)
			}
			ledger = next
			due := owed[who]
			switch {
			case order != Ready:
				if !ok || word != order {
					t.Fatalf("%s was told %s, %v while the order is %s", who, word, ok, order)
				}
				if _, changed := ledger.Heard("nobody", now); changed {
					t.Fatalf("nobody took ready in %v", ledger)
				}
				owed[who] = debt{left: Returns}
			case due.left > 0 || now.Before(due.until):
				if !ok || word != Ready {
					t.Fatalf("%s was told %s, %v but is owed ready", who, word, ok)
				}
				if !rapid.Bool().Draw(t, "taken") { // the check was given up: it still is
					continue
				}
				if ledger, changed = ledger.Heard(who, now); changed != (due.left > 0) {
					t.Fatalf("%s took ready, changed is %v in %v", who, changed, ledger)
				}
				if due.until.IsZero() {
					due.until = now.Add(ReturnFor)
				}
				owed[who] = debt{due.left - 1, due.until}
			case ok:
				t.Fatalf("%s was told %s and is owed nothing", who, word)
			case len(ledger) > 0 && ledger[who] != Debt{}:
				t.Fatalf("%s is still in %v", who, ledger)
			}
		}
	})
}

// One HAProxy asks for each of its backends, from one address.
func TestReadyIsOwedToEveryBackendOfABalancer(t *testing.T) {
	_, _, ledger, _ := Ledger{}.Say("edge", Drain, t0)
	for second := range 20 {
		now := t0.Add(time.Duration(second) * time.Second)
		for backend := range 5 {
			_, ok, next, _ := ledger.Say("edge", Ready, now)
			if want := now.Sub(t0) < ReturnFor; ok != want {
				t.Fatalf("after %d s, backend %d: %v, want %v", second, backend, ok, want)
			}
			ledger, _ = next.Heard("edge", now)
		}
	}
	if len(ledger) != 0 {
		t.Errorf("left over: %v", ledger)
	}
}

func TestClockSetBackEndsWhatIsOwed(t *testing.T) {
	ledger := Ledger{"edge": {Since: t0.Add(time.Hour)}}
	if word, ok, next, _ := ledger.Say("edge", Ready, t0); ok || len(next) != 0 {
		t.Errorf("told %s, %v; left %v", word, ok, next)
	}
}

func TestLedgerIsBounded(t *testing.T) {
	ledger := Ledger{}
	for i := range MaxHeard {
		_, ok, next, _ := ledger.Say(strconv.Itoa(i), Drain, t0)
		if !ok {
			t.Fatalf("balancer %d was told nothing", i)
		}
		ledger = next
	}
	if _, ok, _, changed := ledger.Say("one too many", Drain, t0); ok || changed {
		t.Error("one too many was told to drain")
	}
	if word, ok, _, _ := ledger.Say("7", Drain, t0); !ok || word != Drain {
		t.Error("a balancer that heard of it is no longer told")
	}
}
