package healthd

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// A balancer hears `ready` only if it heard our drain or maint before, at most Returns times after each, and never while the order stands.
func TestReadyIsOnlyTheEdgeThatEndsOurOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ledger Ledger
		order := Ready
		owed := map[string]int{} // the model
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "what") == 0 {
				order = rapid.SampledFrom([]AdminState{Ready, Drain, Maint}).Draw(t, "order")
				continue
			}
			who := strconv.Itoa(rapid.IntRange(1, 4).Draw(t, "who"))
			word, ok, next, changed := ledger.Say(who, order)
			if changed == (ledger[who] == next[who]) {
				t.Fatalf("changed is %v from %v to %v", changed, ledger, next)
			}
			ledger = next
			if order != Ready {
				if _, changed := ledger.Heard("nobody"); changed {
					t.Fatalf("nobody took ready in %v", ledger)
				}
			}
			switch {
			case order != Ready:
				if !ok || word != order {
					t.Fatalf("%s was told %s, %v while the order is %s", who, word, ok, order)
				}
				owed[who] = Returns
			case owed[who] > 0:
				if !ok || word != Ready {
					t.Fatalf("%s was told %s, %v but is owed ready", who, word, ok)
				}
				if !rapid.Bool().Draw(t, "taken") { // the check was given up: it still is
					continue
				}
				if ledger, changed = ledger.Heard(who); !changed {
					t.Fatalf("%s took ready and nothing changed in %v", who, ledger)
				}
				owed[who]--
			case ok:
				t.Fatalf("%s was told %s and never heard a drain", who, word)
			}
		}
	})
}

func TestLedgerIsBounded(t *testing.T) {
	ledger := Ledger{}
	for i := range MaxHeard {
		_, ok, next, _ := ledger.Say(strconv.Itoa(i), Drain)
		if !ok {
			t.Fatalf("balancer %d was told nothing", i)
		}
		ledger = next
	}
	if _, ok, _, changed := ledger.Say("one too many", Drain); ok || changed {
		t.Error("one too many was told to drain")
	}
	if word, ok, _, _ := ledger.Say("7", Drain); !ok || word != Drain {
		t.Error("a balancer that heard of it is no longer told")
	}
}
