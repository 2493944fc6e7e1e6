package remediate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Ledger is what the journal adds up to: orders that stand, own work that is open, commands whose outcome is not known.
type Ledger struct {
	Orders    map[Target]Order        `json:"orders"`
	Takes     map[Target]Take         `json:"takes"`
	Overrides map[Target]Override     `json:"overrides"`
	Pending   map[Target]IntentRecord `json:"pending"` // intents without a known outcome
	TakenAt   map[Target][]time.Time  `json:"taken_at"`
	Refused   map[Target]time.Time    `json:"refused"` // when the balancer last refused a step, unless one was done since
	Frozen    *Freeze                 `json:"frozen,omitempty"`
	PendingAt map[Target]uint64       `json:"pending_at"` // sequence numbers of Pending
}

// NewLedger is what an empty journal adds up to.
func NewLedger() *Ledger {
	return &Ledger{Orders: map[Target]Order{}, Takes: map[Target]Take{}, Overrides: map[Target]Override{},
		Pending: map[Target]IntentRecord{}, TakenAt: map[Target][]time.Time{}, Refused: map[Target]time.Time{}, PendingAt: map[Target]uint64{}}
}

// Clone is a ledger that shares nothing that Fold changes.
func (l *Ledger) Clone() *Ledger {
	c := *l
	c.Orders, c.Takes, c.Overrides = maps.Clone(l.Orders), maps.Clone(l.Takes), maps.Clone(l.Overrides)
	c.Pending, c.TakenAt, c.PendingAt = maps.Clone(l.Pending), maps.Clone(l.TakenAt), maps.Clone(l.PendingAt)
	c.Refused = maps.Clone(l.Refused)
	return &c
}

// Fold adds one record. A kind that it does not know is for people and changes nothing.
func (l *Ledger) Fold(seq uint64, at time.Time, kind string, body json.RawMessage) error {
	var err error
	switch kind {
	case KindOrder:
		err = fold(body, func(r OrderRecord) {
			r.Order.Seq = seq
			// A newer order of the same kind takes over what an older one has set.
			if old, ok := l.Orders[r.Target]; ok && old.Want == r.Order.Want {
				r.Order.Applied, r.Order.Found, r.Order.Generation = old.Applied, old.Found, old.Generation
			}
			l.Orders[r.Target] = r.Order
		})
	case KindIntent:
		err = fold(body, func(r IntentRecord) { l.intent(seq, at, r) })
	case KindOutcome:
		err = fold(body, func(r OutcomeRecord) { l.outcome(at, r) })
	case KindFact:
		err = fold(body, func(r FactRecord) { l.fact(seq, at, r) })
	case KindFreeze:
		err = fold(body, func(r Freeze) { l.Frozen = &r })
	case KindThaw:
		l.Frozen = nil
	}
	if err != nil {
		return fmt.Errorf("read journal record %d (%s): %w", seq, kind, err)
	}
	return nil
}

func fold[T any](body json.RawMessage, apply func(T)) error {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	apply(v)
	return nil
}

// maxTakenAt bounds how many past takes of one server are remembered.
const maxTakenAt = 16

// intent counts as done and as not done until its outcome is known: a take holds capacity at once.
func (l *Ledger) intent(seq uint64, at time.Time, r IntentRecord) {
	t := r.Action.Target
	l.Pending[t], l.PendingAt[t] = r, seq
	l.forgetOld(at)
	if v := r.Action.Verb; v != ForceDown && v != ZeroWeight {
		return
	}
	if r.Action.Reason == TakeCompleted {
		return // the take is there already, half
	}
	l.Takes[t] = Take{Seq: seq, Verb: r.Action.Verb, Reason: r.Action.Reason, Detail: r.Action.Detail, At: at,
		Generation: r.Generation, Weight: r.Action.Weight, Initial: r.Action.Initial}
	if r.Action.Reason == TakeReapplied {
		return
	}
	taken := append(l.TakenAt[t][:len(l.TakenAt[t]):len(l.TakenAt[t])], at)
	l.TakenAt[t] = taken[max(0, len(taken)-maxTakenAt):]
}

func (l *Ledger) outcome(at time.Time, r OutcomeRecord) {
	intent, ok := l.Pending[r.Target]
	if !ok || l.PendingAt[r.Target] != r.Intent || r.Result == Unknown {
		return // unknown stays pending; an outcome of an older intent says nothing about a newer one
	}
	delete(l.Pending, r.Target)
	delete(l.PendingAt, r.Target)
	delete(l.Refused, r.Target)
	if r.Result == Refused {
		l.Refused[r.Target] = at
	}
	done := r.Result == Done
	switch intent.Action.Verb {
	case ForceDown, ZeroWeight:
		l.taken(r, intent.Action.Reason == TakeCompleted)
	case EnableHealth, RestoreWeight:
		if done {
			delete(l.Takes, r.Target)
		}
	case Drain, Maint:
		if o, live := l.Orders[r.Target]; live && done && o.Want == intent.Action.Verb {
			o.Applied, o.Found, o.Generation = true, false, intent.Generation
			l.Orders[r.Target] = o
		}
	case Ready:
		if done {
			delete(l.Orders, r.Target)
			if take, ok := l.Takes[r.Target]; ok && take.Verb == ForceDown {
				take.Half = true // our own ready put it back, no stranger's hand
				l.Takes[r.Target] = take
				if intent.Action.Reason == OperatorOrder {
					l.Overrides[r.Target] = Override{Seq: r.Intent, At: at}
				}
			}
		}
	}
}

// taken is the outcome of a take, or of the completion of one that was half there.
func (l *Ledger) taken(r OutcomeRecord, completion bool) {
	take, ok := l.Takes[r.Target]
	switch {
	case !ok:
	case r.Result == Done:
		take.Half = false
		l.Takes[r.Target] = take
	case r.Result == Half:
		take.Half = true
		l.Takes[r.Target] = take
	case !completion:
		delete(l.Takes, r.Target)
		l.untake(r.Target, take.At)
	}
}

// remembered is how long past takes and refusals are kept: longer than any policy asks for.
const remembered = time.Hour

// forgetOld keeps what is remembered of servers that are long gone from growing.
func (l *Ledger) forgetOld(now time.Time) {
	maps.DeleteFunc(l.TakenAt, func(_ Target, taken []time.Time) bool {
		return len(taken) == 0 || now.Sub(taken[len(taken)-1]) > remembered
	})
	maps.DeleteFunc(l.Refused, func(_ Target, at time.Time) bool { return now.Sub(at) > remembered })
}

// untake forgets a take that never came to be, so that it counts neither for velocity nor for hold-down.
func (l *Ledger) untake(t Target, at time.Time) {
	if n := len(l.TakenAt[t]); n > 0 && l.TakenAt[t][n-1].Equal(at) {
		l.TakenAt[t] = l.TakenAt[t][: n-1 : n-1]
	}
}

func (l *Ledger) fact(seq uint64, at time.Time, r FactRecord) {
	t := r.Fact.Target
	switch r.Fact.Change {
	case TakeEnded:
		delete(l.Takes, t)
	case TakeAdopted:
		if take, ok := l.Takes[t]; ok {
			take.Generation, take.Moved = r.Generation, true
			l.Takes[t] = take
		}
	case TakeSettled:
		if take, ok := l.Takes[t]; ok {
			take.Half = false
			l.Takes[t] = take
		}
	case OrderEnded:
		delete(l.Orders, t)
	case OrderFound:
		if o, ok := l.Orders[t]; ok {
			o.Applied, o.Found, o.Generation = true, true, r.Generation
			l.Orders[t] = o
		}
	case OrderAdopted:
		if o, ok := l.Orders[t]; ok {
			o.Applied, o.Generation = true, r.Generation
			l.Orders[t] = o
		}
	case OverrideSet:
		l.Overrides[t] = Override{Seq: seq, At: at}
	case OverrideEnded:
		delete(l.Overrides, t)
	}
}

// Annotate adds to a row what the ledger knows of its server.
func (l *Ledger) Annotate(t Target, s *Server) {
	if take, ok := l.Takes[t]; ok {
		s.Take = &take
	}
	if o, ok := l.Orders[t]; ok {
		s.Order = &o
	}
	if o, ok := l.Overrides[t]; ok {
		s.Override = &o
	}
	pending, ok := l.Pending[t]
	s.Pending, s.PendingOut = ok, ok && pending.Action.Verb.Destructive()
	s.RefusedAt = l.Refused[t]
	s.TakenAt = l.TakenAt[t]
}

// Targets are the servers of which an order, a take or an override is remembered.
func (l *Ledger) Targets() []Target {
	set := map[Target]bool{}
	for t := range l.Orders {
		set[t] = true
	}
	for t := range l.Takes {
		set[t] = true
	}
	for t := range l.Overrides {
		set[t] = true
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b Target) int { return cmp.Compare(a.String(), b.String()) })
}

// TakesSince counts the takes of automation between since and now, in all backends.
func (l *Ledger) TakesSince(since, now time.Time) int {
	n := 0
	for _, taken := range l.TakenAt {
		for _, at := range taken {
			if at.After(since) && !at.After(now) {
				n++
			}
		}
	}
	return n
}
