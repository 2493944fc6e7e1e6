package remediate

import (
	"encoding/json"
	"testing"
	"time"
)

// book folds records as the journal would give them.
type book struct {
	t      *testing.T
	ledger *Ledger
	seq    uint64
	now    time.Time
}

func newBook(t *testing.T) *book {
	return &book{t: t, ledger: NewLedger(), now: time.Unix(1_700_000_000, 0)}
}

func (b *book) fold(kind string, body any) uint64 {
	b.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.seq++
	b.now = b.now.Add(time.Second)
	if err := b.ledger.Fold(b.seq, b.now, kind, raw); err != nil {
		b.t.Fatal(err)
	}
	return b.seq
}

func (b *book) act(verb Verb, reason Reason, result Result) {
	b.t.Helper()
	seq := b.fold(KindIntent, IntentRecord{Action: Action{Verb: verb, Target: ledgerTarget, Reason: reason}, Generation: storyGen})
	b.fold(KindOutcome, OutcomeRecord{Intent: seq, Target: ledgerTarget, Verb: verb, Result: result})
}

var ledgerTarget = Target{"edge", "web", "a"}

func (b *book) row() (s Server) {
	b.ledger.Annotate(ledgerTarget, &s)
	return s
}

func TestATakeThatNeverCameToBeIsForgotten(t *testing.T) {
	for _, result := range []Result{Refused, Missed} {
		b := newBook(t)
		b.act(ForceDown, SidecarFails, result)
		if s := b.row(); s.Take != nil || len(s.TakenAt) != 0 || s.Pending {
			t.Errorf("%s: %+v", result, s)
		}
		if s := b.row(); s.RefusedAt.IsZero() != (result == Missed) {
			t.Errorf("%s: refused at %s", result, s.RefusedAt)
		}
	}
}

// The server stands without a check: forgetting the take would leave it so for ever.
func TestARefusedCompletionKeepsTheHalfTake(t *testing.T) {
	b := newBook(t)
	b.act(ForceDown, SidecarFails, Half)
	at := b.row().Take.At
	for _, result := range []Result{Refused, Missed, Unknown} {
		b.act(ForceDown, TakeCompleted, result)
		if s := b.row(); s.Take == nil || !s.Take.Half || !s.Take.At.Equal(at) || len(s.TakenAt) != 1 {
			t.Errorf("after %s: take %+v, taken %v", result, s.Take, s.TakenAt)
		}
	}
	b = newBook(t)
	b.act(ForceDown, SidecarFails, Half)
	b.act(ForceDown, TakeCompleted, Done)
	if s := b.row(); s.Take == nil || s.Take.Half {
		t.Errorf("after the completion: %+v", s.Take)
	}
}

// A `ready` of ours that ends an order puts back what automation has out: that is nobody's hand. An operator's is.
func TestOurOwnReadyIsNoStrangersHand(t *testing.T) {
	for reason, override := range map[Reason]bool{OrderExpired: false, OperatorOrder: true} {
		b := newBook(t)
		b.act(ForceDown, SidecarFails, Done)
		b.act(Ready, reason, Done)
		if s := b.row(); s.Take == nil || !s.Take.Half || (s.Override != nil) != override {
			t.Errorf("%s: take %+v, override %+v", reason, s.Take, s.Override)
		}
	}
}

func TestANewerOrderTakesOverWhatTheOlderOneHasSet(t *testing.T) {
	b := newBook(t)
	b.fold(KindOrder, OrderRecord{ledgerTarget, Order{Want: Maint, By: "alice", Until: b.now.Add(time.Hour)}})
	b.act(Maint, OperatorOrder, Done)
	b.fold(KindOrder, OrderRecord{ledgerTarget, Order{Want: Maint, By: "bob"}})
	if o := b.row().Order; !o.Applied || o.Found || o.By != "bob" || !o.Until.IsZero() {
		t.Errorf("%+v", o)
	}
	b.fold(KindOrder, OrderRecord{ledgerTarget, Order{Want: Drain, By: "bob"}})
	if o := b.row().Order; o.Applied {
		t.Errorf("another kind of order: %+v", o)
	}
}

func TestWhatIsLongPastIsForgotten(t *testing.T) {
	b := newBook(t)
	b.act(ForceDown, SidecarFails, Refused)
	b.act(ForceDown, SidecarFails, Done)
	b.act(EnableHealth, SidecarPasses, Done)
	b.now = b.now.Add(2 * remembered)
	other := Action{Verb: Drain, Target: Target{"edge", "web", "b"}}
	b.fold(KindIntent, IntentRecord{Action: other})
	if len(b.ledger.TakenAt) != 0 || len(b.ledger.Refused) != 0 {
		t.Errorf("taken %v, refused %v", b.ledger.TakenAt, b.ledger.Refused)
	}
}

// After the clock was set back, what lies in the future counts for nothing.
func TestTheFutureCountsForNothing(t *testing.T) {
	p := DefaultPolicy()
	now := time.Unix(1_700_000_000, 0)
	ahead := []time.Time{now.Add(time.Hour), now.Add(2 * time.Hour)}
	if d := p.holdDown(ahead, now); d != 0 {
		t.Errorf("held down for %s", d)
	}
	if (Server{TakenAt: ahead}).returning(now) {
		t.Error("it is taken for one that returns")
	}
	v := View{Now: now, Policy: p, Backend: Backend{Servers: []Server{{Name: "a", TakenAt: ahead}, {Name: "b", TakenAt: ahead}}}}
	d := decision{View: v}
	if reason, detail := d.refuseVelocity(); reason != "" {
		t.Errorf("%s: %s", reason, detail)
	}
}

func TestTheWeightThatIsRestored(t *testing.T) {
	take := Take{Generation: storyGen, Weight: 7, Initial: 10}
	moved := take
	moved.Moved = true
	for name, tt := range map[string]struct {
		take    Take
		initial int
		gen     Generation
		want    int
	}{
		"nothing changed":           {take, 10, storyGen, 7},
		"another worker":            {take, 10, oldGen, 10},
		"carried over by a file":    {moved, 10, storyGen, 10},
		"another weight in config":  {take, 20, storyGen, 20},
		"weight 0 in the config":    {take, 0, storyGen, 0},
		"a take of before it moved": {Take{Generation: storyGen, Weight: 7, Initial: 7}, 7, storyGen, 7},
	} {
		if got := tt.take.RestoreTo(Server{InitialWeight: tt.initial}, tt.gen); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
