package control

import (
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

// settle reads back what became of commands whose outcome is not known, and ends what is remembered of servers that
// are gone. It reports whether anything changed.
func (c *Controller) settle(seen Observation) (changed bool) {
	rows := map[remediate.Target]remediate.Server{}
	for _, b := range seen.Backends {
		for _, s := range b.Servers {
			rows[c.target(b.Name, s.Name)] = s
		}
	}
	ledger := c.book.Ledger()
	for t, p := range ledger.Pending {
		if t.Balancer != c.settings.Name {
			continue
		}
		s, there := rows[t]
		if result := c.readBack(p, s, there, seen); result != remediate.Unknown {
			changed = c.outcome(ledger.PendingAt[t], p.Action, result, "read back") || changed
			delete(c.notDone, t)
		}
	}
	for _, t := range ledger.Targets() {
		if _, there := rows[t]; t.Balancer == c.settings.Name && !there {
			changed = c.forget(ledger, t, seen.Generation) || changed
		}
	}
	return changed
}

// lateAfter is how long a command must read as not carried out before it is taken for lost: a worker that was stopped
// carries it out when it goes on, and may answer a question first.
const lateAfter = time.Second

// readBack resolves one command of unknown outcome.
func (c *Controller) readBack(p remediate.IntentRecord, s remediate.Server, there bool, seen Observation) remediate.Result {
	if !there {
		return remediate.Missed
	}
	done, ok := remediate.ReadBack(p.Action.Verb, s)
	since, before := c.notDone[p.Action.Target]
	switch {
	case !ok:
		return remediate.Unknown
	case done && p.Action.Verb == remediate.ForceDown && (s.CheckRunning || !s.ForcedDown()):
		return remediate.Half
	case done:
		return remediate.Done
	case !p.Generation.Same(seen.Generation):
		return remediate.Missed // the worker that it was meant for is gone, and took it along
	case !before:
		c.notDone[p.Action.Target] = seen.At
		return remediate.Unknown
	case seen.At.Sub(since) < lateAfter:
		return remediate.Unknown
	}
	return remediate.Missed
}

// forget ends what is remembered of a server that the balancer no longer has.
func (c *Controller) forget(ledger *remediate.Ledger, t remediate.Target, g remediate.Generation) (changed bool) {
	for change, is := range map[remediate.Change]bool{
		remediate.OrderEnded:    has(ledger.Orders, t),
		remediate.TakeEnded:     has(ledger.Takes, t),
		remediate.OverrideEnded: has(ledger.Overrides, t),
	} {
		if is {
			changed = c.fact(remediate.Fact{Target: t, Change: change, Reason: remediate.ServerGone}, g) || changed
		}
	}
	return changed
}

func has[V any](m map[remediate.Target]V, t remediate.Target) bool {
	_, ok := m[t]
	return ok
}
