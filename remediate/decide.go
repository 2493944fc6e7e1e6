package remediate

import (
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

// evidence is what the sidecar says, as far as it may be believed: an old or stale word is unknown.
func (d *decision) evidence(s Server) healthd.Status {
	if s.Evidence.Stale || s.Evidence.At.IsZero() || d.Now.Sub(s.Evidence.At) > d.Policy.EvidenceMaxAge {
		return healthd.Unknown
	}
	return s.Evidence.Status
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
