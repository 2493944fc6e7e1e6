package remediate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Decide says what to do about one backend now. It is pure: the same view gives the same plan, byte for byte (S15).
// Orders of operators come first (S4); then what is left of our own takes is kept in step with reality (S3); then the
// floor is restored (S1); then servers return; and last, if every bound allows it, servers are taken out.
func Decide(v View) Plan {
	d := decision{View: v, tally: newTally(v)}
	if age := v.Now.Sub(v.Observed); v.Observed.IsZero() || age > v.Policy.ObservationMaxAge {
		d.holdAll(HoldStaleView, "the balancer was last read "+ago(age, v.Observed))
		return d.plan
	}
	for _, s := range v.Backend.Servers {
		d.order(s)
		d.override(s)
	}
	d.takes()
	for _, unit := range v.Backend.units() {
		d.consider(unit)
	}
	return d.plan
}

func ago(age time.Duration, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return age.Round(100*time.Millisecond).String() + " ago"
}

// decision is one run of Decide.
type decision struct {
	View
	plan    Plan
	tally   *tally
	ejected int // instances that this plan takes out anew
}

func (d *decision) take(s Server, verb Verb, reason Reason, detail string) {
	a := Action{Verb: verb, Target: d.target(s.Name), Reason: reason, Detail: detail}
	switch {
	case verb == ZeroWeight:
		a.Weight, a.Initial = s.Weight, s.InitialWeight
	case verb == RestoreWeight && s.Take != nil:
		a.Weight = s.Take.RestoreTo(s, d.Generation)
	case verb == RestoreWeight:
		a.Weight = s.InitialWeight
	}
	d.plan.Take = append(d.plan.Take, a)
}

// planned reports whether the plan has a step for s already: a server gets one command at a time.
func (d *decision) planned(s Server) bool {
	return slices.ContainsFunc(d.plan.Take, func(a Action) bool { return a.Target.Server == s.Name })
}

func (d *decision) hold(s Server, want Verb, reason Reason, detail string) {
	d.plan.Hold = append(d.plan.Hold, Hold{Target: d.target(s.Name), Want: want, Reason: reason, Detail: detail})
}

func (d *decision) fact(s Server, change Change, reason Reason) {
	d.plan.Fact = append(d.plan.Fact, Fact{Target: d.target(s.Name), Change: change, Reason: reason})
}

// holdAll says why nothing can be decided, for each server of which something is wanted.
func (d *decision) holdAll(reason Reason, detail string) {
	for _, s := range d.Backend.Servers {
		switch {
		case s.Order != nil:
			d.hold(s, s.Order.Want, reason, detail)
		case s.Take != nil:
			d.hold(s, s.Take.Verb.Undo(), reason, detail)
		case s.Evidence.Status == healthd.Fail:
			d.hold(s, takeVerb(s), reason, detail)
		}
	}
}

// takeVerb is how automation takes s out: by forced health, or by weight where it has no check.
func takeVerb(s Server) Verb {
	if s.Checked {
		return ForceDown
	}
	return ZeroWeight
}

// order keeps the admin state in step with the operator's order, once in each generation. If it is gone from a worker
// that had it, somebody lifted it there, and that was the newer word.
func (d *decision) order(s Server) {
	o := s.Order
	if o == nil {
		return
	}
	if s.Pending {
		d.hold(s, o.Want, HoldPending, "the outcome of a command is being read back")
		return
	}
	set := s.Admin&ForcedDrain != 0
	if o.Want == Maint {
		set = s.Admin&ForcedMaint != 0
	}
	here := o.Applied && o.Generation.Same(d.Generation)
	switch {
	case o.Expired(d.Now) && set && !o.Found:
		d.act(s, Ready, OrderExpired, o.Reason)
	case o.Expired(d.Now):
		d.fact(s, OrderEnded, OrderExpired)
	case set && !o.Applied:
		d.fact(s, OrderFound, SetAlready)
	case set && !here:
		d.fact(s, OrderAdopted, BroughtBack)
	case set:
	case here:
		d.fact(s, OrderEnded, OperatorLifted)
	case o.Want == Drain && s.Admin&ForcedMaint != 0:
		d.hold(s, Drain, HoldForeignMaint, "draining would end a maintenance that somebody else set")
	case o.Applied:
		d.act(s, o.Want, OrderReapplied, o.Reason)
	default:
		d.act(s, o.Want, OperatorOrder, o.Reason)
	}
	if !o.Until.IsZero() && !o.Expired(d.Now) {
		d.plan.wakeAt(o.Until)
	}
}

// act takes a step that an operator asked for; only a journal that cannot be written, or
// a balancer that takes no commands, holds it back.
func (d *decision) act(s Server, verb Verb, reason Reason, detail string) {
	switch {
	case d.NoJournal != "":
		d.hold(s, verb, HoldNoJournal, d.NoJournal)
		return
	case d.Denied != "":
		d.hold(s, verb, HoldDenied, d.Denied)
		return
	}
	if until, yes := s.refused(d.Now); yes {
		d.holdRefused(s, verb, until)
		return
	}
	d.take(s, verb, reason, detail)
}

// override ends once the sidecar passes: from then on a new failure is a new story.
func (d *decision) override(s Server) {
	if s.Override != nil && d.evidence(s) == healthd.Pass {
		d.fact(s, OverrideEnded, SidecarPasses)
	}
}

// evidence is what the sidecar says, as far as it may be believed: an old or stale word is unknown.
func (d *decision) evidence(s Server) healthd.Status {
	if s.Evidence.Stale || s.Evidence.At.IsZero() || d.Now.Sub(s.Evidence.At) > d.Policy.EvidenceMaxAge {
		return healthd.Unknown
	}
	return s.Evidence.Status
}

// takes looks at our own open takes: what became of them, and which of them go back.
func (d *decision) takes() {
	var standing []Server
	for _, s := range d.Backend.Servers {
		if s.Take != nil && !d.planned(s) && d.stands(s) {
			standing = append(standing, s)
		}
	}
	// Least bad first: what passes before what is not known before what fails, then the oldest take.
	slices.SortStableFunc(standing, func(a, b Server) int {
		return cmp.Or(cmp.Compare(badness(d.evidence(a)), badness(d.evidence(b))), a.Take.At.Compare(b.Take.At))
	})
	for _, s := range standing {
		d.restore(s)
	}
}

func badness(s healthd.Status) int {
	switch s {
	case healthd.Pass:
		return 0
	case healthd.Warn:
		return 1
	case healthd.Unknown:
		return 2
	}
	return 3
}

// stands reports whether our take is still there as we left it. Where it is not, it settles what follows from that.
func (d *decision) stands(s Server) bool {
	here := s.Take.Generation.Same(d.Generation)
	asLeft := s.Take.Verb == ForceDown && s.ForcedDown() || s.Take.Verb == ZeroWeight && s.Weight == 0 && (here || s.InitialWeight > 0)
	switch {
	case s.Pending:
		d.hold(s, s.Take.Verb.Undo(), HoldPending, "the outcome of a command is being read back")
	case asLeft && here:
		if s.Take.Half && !s.CheckRunning {
			d.fact(s, TakeSettled, CheckEnded)
		}
		return true
	case asLeft:
		d.fact(s, TakeAdopted, BroughtBack)
	case s.Take.Verb == ForceDown && s.CheckOff:
		d.halfThere(s, here)
	case !here:
		d.lapsed(s)
	default:
		d.fact(s, TakeEnded, OperatorLifted)
		d.fact(s, OverrideSet, OperatorLifted)
	}
	return false
}

// halfThere settles a server that is in service with its check switched off: half of our take is left.
func (d *decision) halfThere(s Server, here bool) {
	switch {
	case s.Take.Half && here:
		d.complete(s)
	case s.Agent: // an agent's `up` lifts forced health; it would do so again
		if d.automation(s, EnableHealth) {
			d.take(s, EnableHealth, AgentLifted, "")
		}
	case d.automation(s, EnableHealth): // somebody's hand lifted it
		d.take(s, EnableHealth, OperatorLifted, "")
		d.fact(s, OverrideSet, OperatorLifted)
	}
}

// complete goes on with a take that nobody lifted: a check under way put it back, or the `ready` that ended an order did.
func (d *decision) complete(s Server) {
	status := d.evidence(s)
	reason, detail := d.tally.refuse([]Server{s})
	switch {
	case s.Override != nil:
		if d.automation(s, EnableHealth) {
			d.take(s, EnableHealth, OperatorLifted, "")
		}
	case status == healthd.Unknown:
		d.hold(s, ForceDown, HoldNoEvidence, "it is in service without a check, and its sidecar does not answer")
	case status != healthd.Fail:
		if d.automation(s, EnableHealth) {
			d.take(s, EnableHealth, SidecarPasses, "")
		}
	case s.InService() && reason != "":
		if d.automation(s, EnableHealth) {
			d.take(s, EnableHealth, BelowFloor, detail)
		}
	case d.automation(s, ForceDown):
		d.take(s, ForceDown, TakeCompleted, s.Evidence.Detail)
		d.tally.spend([]Server{s}, true)
	}
}

// lapsed settles a take that a new worker does not have: again, if the app still fails, or over. It is no new take for
// velocity; all other bounds apply, and the config may have changed, so the verb is chosen afresh.
func (d *decision) lapsed(s Server) {
	if d.evidence(s) != healthd.Fail || !s.InService() {
		d.fact(s, TakeEnded, Lapsed)
		return
	}
	if reason, detail := d.refuse([]Server{s}, true); reason != "" {
		d.hold(s, takeVerb(s), reason, detail)
		d.fact(s, TakeEnded, Lapsed)
		return
	}
	d.take(s, takeVerb(s), TakeReapplied, s.Evidence.Detail)
	d.tally.spend([]Server{s}, true)
}

// holdRefused leaves a server alone on which the balancer refused a step a moment ago.
func (d *decision) holdRefused(s Server, want Verb, until time.Time) {
	d.hold(s, want, HoldRefused, "the balancer refused a step on it; see `lbmedic events`")
	d.plan.wakeAt(until)
}

// automation reports whether automation may act on s at all, and holds the step back where it may not.
func (d *decision) automation(s Server, want Verb) bool {
	if until, yes := s.refused(d.Now); yes {
		d.holdRefused(s, want, until)
		return false
	}
	reason, detail := d.bound()
	if reason != "" {
		d.hold(s, want, reason, detail)
	}
	return reason == ""
}

// bound is what keeps automation as a whole from acting.
func (d *decision) bound() (Reason, string) {
	switch {
	case d.Backend.OrdersOnly != "":
		return HoldOrdersOnly, d.Backend.OrdersOnly
	case d.Denied != "":
		return HoldDenied, d.Denied
	case d.NoJournal != "":
		return HoldNoJournal, d.NoJournal
	case d.Frozen != "":
		return HoldFrozen, d.Frozen
	case d.Policy.Mode != Enforce:
		return HoldObserve, ""
	}
	return "", ""
}

// restore puts one of our takes back: because its sidecar passes, or because too few servers serve.
func (d *decision) restore(s Server) {
	c := d.tally.capacity(s)
	undo := s.Take.Verb.Undo()
	status := d.evidence(s)
	out := d.Now.Sub(s.Take.At)
	wait := d.Policy.holdDown(s.TakenAt, d.Now)
	switch {
	case c.Deficit() > 0 || d.tally.unit(s).returning:
		if d.automation(s, undo) {
			d.take(s, undo, BelowFloor, c.String())
			d.tally.giveBack(s) // it is on its way
		}
	case status == healthd.Unknown:
		d.hold(s, undo, HoldNoEvidence, "its sidecar does not answer; it stays out until it does or until the floor needs it")
	case status == healthd.Fail:
	case out < wait && out >= 0:
		d.hold(s, undo, HoldDownTime, fmt.Sprintf("taken out %d times lately; %s to go", len(s.TakenAt), (wait-out).Round(time.Second)))
		d.plan.wakeAt(s.Take.At.Add(wait))
	case d.automation(s, undo):
		d.take(s, undo, SidecarPasses, "")
	}
}
