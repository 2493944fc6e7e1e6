package healthd

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A balancer hears `ready` only if it heard our drain or maint before, then at least Returns times and from the first it took for ReturnFor or
// for twelve of its gaps, and never while the order stands.
func TestReadyIsOnlyTheEdgeThatEndsOurOwn(t *testing.T) {
	type debt struct {
		left         int
		closed       bool
		asked, taken time.Time
		gap          time.Duration
	}
	rapid.Check(t, func(t *rapid.T) {
		var ledger Ledger
		order, now := Ready, t0
		owed := map[string]debt{} // the model
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 2 * time.Second, ReturnFor, OfferedFor, MostOwed}).Draw(t, "later"))
			if rapid.IntRange(0, 4).Draw(t, "what") == 0 {
				order = rapid.SampledFrom([]AdminState{Ready, Drain, Maint}).Draw(t, "order")
				continue
			}
			who := strconv.Itoa(rapid.IntRange(1, 4).Draw(t, "who"))
			word, ok, next, save := ledger.Say(who, order, now)
			due, known := owed[who]
			if gap := now.Sub(due.asked); known && gap <= longestGap {
				due.gap = max(due.gap, gap)
			}
			due.asked = now
			if want := order != Ready && (!known || due.left != Returns); save != want {
				t.Fatalf("to be saved: %v, want %v, from %v to %v", save, want, ledger, next)
			}
			ledger = next
			switch {
			case order != Ready:
				if !ok || word != order {
					t.Fatalf("%s was told %s, %v while the order is %s", who, word, ok, order)
				}
				if _, changed := ledger.Heard("nobody", now); changed {
					t.Fatalf("nobody took ready in %v", ledger)
				}
				owed[who] = debt{left: Returns, asked: now, gap: due.gap}
			case known && !due.closed && (due.left > 0 || now.Sub(due.taken) < min(max(ReturnFor, 12*due.gap), MostOwed)):
				if !ok || word != Ready {
					t.Fatalf("%s was told %s, %v but is owed ready", who, word, ok)
				}
				owed[who] = due
				if !rapid.Bool().Draw(t, "taken") { // the check was given up: it still is
					continue
				}
				changed := false
				if ledger, changed = ledger.Heard(who, now); changed != (due.left > 0) {
					t.Fatalf("%s took ready, changed is %v in %v", who, changed, ledger)
				}
				if due.taken.IsZero() {
					due.taken = now
				}
				due.left = max(0, due.left-1)
				owed[who] = due
			case ok:
				t.Fatalf("%s was told %s and is owed nothing", who, word)
			case known && now.Sub(due.taken) >= OfferedFor:
				if _, still := ledger[who]; still {
					t.Fatalf("%s is still in %v", who, ledger)
				}
				delete(owed, who)
			case known:
				due.closed = true
				owed[who] = due
			}
		}
	})
}

// One HAProxy asks for each of its backends from one address, and each of them is to hear `ready`: however long a round is, however many
// backends there are, and whether they ask one after the other or all at once.
func TestReadyIsOwedToEveryBackendOfABalancer(t *testing.T) {
	for _, named := range []bool{true, false} {
		for _, backends := range []int{1, 2, 6, 12} {
			for _, round := range []time.Duration{time.Second, 2 * time.Second, 15 * time.Second, 40 * time.Second} {
				for _, spread := range []time.Duration{0, 2 * time.Second, round} {
					drained, ledger := everyBackend(backends, round, min(spread, round), named)
					if drained != 0 {
						t.Errorf("%d of %d backends are in DRAIN for ever: a round of %s, over %s of it, named %v, %v", drained, backends, round, spread, named, ledger)
					}
					if len(ledger) != 0 {
						t.Errorf("left over: %v", ledger)
					}
				}
			}
		}
	}
}

// everyBackend drains for a round, then has it be ready until nothing is owed any more, and counts the backends that are still drained.
func everyBackend(backends int, round, spread time.Duration, named bool) (out int, ledger Ledger) {
	drained := make([]bool, backends)
	ask := func(order AdminState, from time.Time) {
		for i := range drained {
			row := ""
			if named {
				row = "b" + strconv.Itoa(i) + "/w1"
			}
			now, who := from.Add(spread*time.Duration(i)/time.Duration(backends)), KeyOf("edge", row)
			word, ok, next, _ := ledger.Say(who, order, now)
			if ledger = next; ok {
				drained[i] = word == Drain
			}
			if ok && word == Ready {
				ledger, _ = ledger.Heard(who, now)
			}
		}
	}
	ask(Drain, t0)
	for i := range 100 {
		ask(Ready, t0.Add(round*time.Duration(i+1)))
	}
	ask(Ready, t0.Add(round*101+MostOwed))
	for _, d := range drained {
		if d {
			out++
		}
	}
	return out, ledger
}

// What ran out stays so: an operator's drain from after it is not ended because the balancer was busy once.
func TestALateGapOpensNoDebtAgain(t *testing.T) {
	_, _, ledger, _ := Ledger{}.Say("edge", Drain, t0)
	second := 0
	for ; second < 13; second++ { // twelve gaps of one
		now := t0.Add(time.Duration(second) * time.Second)
		_, _, ledger, _ = ledger.Say("edge", Ready, now)
		ledger, _ = ledger.Heard("edge", now)
	}
	for _, second := range []int{13, 23, 24, 50} {
		_, ok, next, _ := ledger.Say("edge", Ready, t0.Add(time.Duration(second)*time.Second))
		if ledger = next; ok {
			t.Errorf("after %d s it is owed again", second)
		}
	}
}

// Where the asks are named one row's debt is not another's, and one from before it was named is still known.
func TestARowIsOwedWhatItHeard(t *testing.T) {
	_, _, ledger, _ := Ledger{}.Say(KeyOf("edge", "a/w1"), Drain, t0)
	if _, ok, _, _ := ledger.Say(KeyOf("edge", "b/w1"), Ready, t0); ok {
		t.Error("a row that heard no drain is told ready")
	}
	_, _, ledger, _ = Ledger{}.Say("edge", Drain, t0)
	if _, ok, _, _ := ledger.Say(KeyOf("edge", "b/w1"), Ready, t0); !ok {
		t.Error("what an address heard is not owed to its rows")
	}
}

func TestAnOfferIsOwedOnceEvenIfNothingIsKnown(t *testing.T) {
	heard, offers := 0, 0
	var ledger Ledger
	for now := t0; now.Sub(t0) < OfferedFor; now = now.Add(2 * time.Second) {
		next, offered := ledger.Offer("edge", now)
		if offered {
			offers++
		}
		_, ok, next, _ := next.Say("edge", Ready, now)
		if ledger = next; ok {
			heard++
			ledger, _ = ledger.Heard("edge", now)
		}
	}
	if heard != 12 || offers != int(OfferedFor/(2*time.Second)) { // 24 s: twelve gaps
		t.Errorf("heard %d, offered %d", heard, offers)
	}
	_, _, drained, _ := Ledger{}.Say("edge", Drain, t0)
	if next, offered := drained.Offer("edge", t0); offered || next["edge"] != drained["edge"] {
		t.Error("what is owed anyhow is offered")
	}
}

func TestClockSetBackEndsWhatIsOwed(t *testing.T) {
	ledger := Ledger{"edge": {Since: t0.Add(time.Hour)}}
	if word, ok, next, _ := ledger.Say("edge", Ready, t0); ok || len(next) != 0 {
		t.Errorf("told %s, %v; left %v", word, ok, next)
	}
}

// Strangers neither fill a ledger for good nor push out who asks.
func TestWhoAskedLongestAgoMakesRoom(t *testing.T) {
	ledger := Ledger{}
	for i := range 3 * MaxHeard {
		now := t0.Add(time.Duration(i) * time.Second)
		for _, who := range []string{"edge", strconv.Itoa(i)} {
			word, ok, next, _ := ledger.Say(who, Drain, now)
			if !ok || word != Drain || len(next) > MaxHeard {
				t.Fatalf("%s is told %s, %v, of %d", who, word, ok, len(next))
			}
			ledger = next
		}
	}
	if _, ok, _, _ := ledger.Say("edge", Ready, t0.Add(3*MaxHeard*time.Second)); !ok {
		t.Error("a balancer that asked all the time is owed nothing")
	}
}
