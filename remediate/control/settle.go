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
		if t.Balancer != c.settings.Name {
			continue
		}
		if _, there := rows[t]; there {
			delete(c.missing, t)
			continue
		}
		changed = c.forget(ledger, t, seen) || changed
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

// goneFor is how long an order outlasts its server. A deploy that leaves a server out of the configuration and brings it
// back a moment later must not put it in service against the order.
const goneFor = time.Hour

// forget ends what is remembered of a server that the balancer no longer has: at once what automation did, for that went
// with it, and an order when the server has been gone for long.
func (c *Controller) forget(ledger *remediate.Ledger, t remediate.Target, seen Observation) (changed bool) {
	end := func(change remediate.Change, reason remediate.Reason) {
		changed = c.fact(remediate.Fact{Target: t, Change: change, Reason: reason}, seen.Generation) || changed
	}
	end(remediate.TakeEnded, remediate.ServerGone)
	end(remediate.OverrideEnded, remediate.ServerGone)
	order, stands := ledger.Orders[t]
	since, known := c.missing[t]
	switch {
	case stands && !known:
		c.missing[t] = seen.At
	case !stands:
		delete(c.missing, t)
	case order.Expired(seen.At):
		end(remediate.OrderEnded, remediate.OrderExpired)
	case seen.At.Sub(since) >= goneFor:
		end(remediate.OrderEnded, remediate.ServerGone)
	}
	return changed
}

func has[V any](m map[remediate.Target]V, t remediate.Target) bool {
	_, ok := m[t]
	return ok
}
