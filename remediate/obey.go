package remediate

import (
	"github.com/lbmedic/lbmedic/healthd"
)

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
