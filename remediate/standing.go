package remediate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

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
		d.keepAway(s)
	}
	return false
}

// keepAway remembers that somebody put back what automation wants out, until its sidecar passes.
func (d *decision) keepAway(s Server) {
	if s.Override == nil && d.evidence(s) != healthd.Pass {
		d.fact(s, OverrideSet, OperatorLifted)
	}
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
		d.keepAway(s)
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
