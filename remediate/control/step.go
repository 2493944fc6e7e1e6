package control

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/remediate"
)

// ordered reports whether an operator asked for the step; all others are automation's.
func ordered(r remediate.Reason) bool {
	return r == remediate.OperatorOrder || r == remediate.OrderReapplied || r == remediate.OrderExpired
}

// carryOut writes down the facts of the plans of one look and takes their steps. noted says that a fact was news, and
// acted that a step changed something. Orders come first, then what automation gives back, and of what it takes one
// server alone: each take is decided on a look that shows what the last step led to, also where servers of other
// backends went down with it.
func (c *Controller) carryOut(ctx context.Context, seen Observation, plans []remediate.Plan) (noted, acted bool) {
	for _, p := range plans {
		for _, f := range p.Fact {
			noted = c.fact(f, seen.Generation) || noted
		}
	}
	for _, a := range steps(plans, func(a remediate.Action) bool { return ordered(a.Reason) }) {
		if ctx.Err() != nil {
			return noted, acted
		}
		result, _ := c.step(ctx, seen.Generation, a, "")
		acted = acted || changes(result)
	}
	for _, a := range steps(plans, func(a remediate.Action) bool { return !ordered(a.Reason) && !a.Verb.Destructive() }) {
		if !c.mayGoOn(ctx) {
			return noted, acted
		}
		result, _ := c.step(ctx, seen.Generation, a, "")
		acted = acted || changes(result)
	}
	if !acted {
		acted = c.takeOne(ctx, seen, steps(plans, func(a remediate.Action) bool { return !ordered(a.Reason) && a.Verb.Destructive() }))
	}
	return noted, acted
}

// takeOne takes the first server that the balancer does not refuse, with all rows of its address, and no other.
func (c *Controller) takeOne(ctx context.Context, seen Observation, takes []remediate.Action) (changed bool) {
	instance := ""
	for _, a := range takes {
		at := seen.instance(a.Target)
		if changed && at != instance {
			return true
		}
		if !c.mayGoOn(ctx) {
			return changed
		}
		result, _ := c.step(ctx, seen.Generation, a, "")
		if result == remediate.Missed {
			return changed // what was looked at is not there any more
		}
		if changes(result) {
			changed, instance = true, at
		}
	}
	return changed
}

func steps(plans []remediate.Plan, which func(remediate.Action) bool) (out []remediate.Action) {
	for _, p := range plans {
		for _, a := range p.Take {
			if which(a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// mayGoOn reports whether automation may take its next step: a freeze stops what is under way.
func (c *Controller) mayGoOn(ctx context.Context) bool {
	return ctx.Err() == nil && c.book.Ledger().Frozen == nil
}

// changes reports whether a step with that result changed anything, or may have.
func changes(r remediate.Result) bool { return r != remediate.Refused && r != remediate.Missed }

// step is one action: the intent is on disk before its first byte is sent, the outcome afterwards (S7).
func (c *Controller) step(ctx context.Context, g remediate.Generation, a remediate.Action, by string) (remediate.Result, error) {
	begun := time.Now()
	seq, err := c.book.Append(remediate.KindIntent, remediate.IntentRecord{Action: a, Generation: g, By: by})
	if err != nil {
		c.log.Error("nothing is done that cannot be journaled", zap.Stringer("action", a), zap.Error(err))
		return remediate.Missed, fmt.Errorf("journal %s: %w", a, err)
	}
	result, detail := c.balancer.Act(ctx, g, a)
	c.outcome(seq, a, result, detail)
	c.log.Info("acted", zap.Stringer("action", a), zap.String("result", string(result)), zap.String("detail", detail),
		zap.Duration("took", time.Since(begun)))
	if result == remediate.Done {
		return result, nil
	}
	return result, fmt.Errorf("%s %s: %s: %s", a.Verb, a.Target, result, detail)
}

func (c *Controller) outcome(seq uint64, a remediate.Action, result remediate.Result, detail string) bool {
	_, err := c.book.Append(remediate.KindOutcome, remediate.OutcomeRecord{Intent: seq, Target: a.Target, Verb: a.Verb, Result: result, Detail: detail})
	if err != nil {
		c.log.Error("an outcome could not be journaled; it is read back later", zap.Stringer("action", a), zap.Error(err))
	}
	return err == nil
}

// fact writes down what has become of a server, and reports whether that changed anything.
func (c *Controller) fact(f remediate.Fact, g remediate.Generation) bool {
	if !news(c.book.Ledger(), f, g) {
		return false
	}
	_, err := c.book.Append(remediate.KindFact, remediate.FactRecord{Fact: f, Generation: g})
	if err != nil {
		c.log.Error("a fact could not be journaled", zap.Stringer("target", f.Target), zap.String("change", string(f.Change)), zap.Error(err))
		return false
	}
	c.log.Info("noted", zap.Stringer("target", f.Target), zap.String("change", string(f.Change)), zap.String("reason", string(f.Reason)))
	return true
}

// news reports whether the ledger does not know the fact yet: what changes nothing is not written down again and again.
func news(l *remediate.Ledger, f remediate.Fact, g remediate.Generation) bool {
	take, taken := l.Takes[f.Target]
	order, stands := l.Orders[f.Target]
	switch f.Change {
	case remediate.OverrideSet:
		return !has(l.Overrides, f.Target)
	case remediate.OverrideEnded:
		return has(l.Overrides, f.Target)
	case remediate.TakeEnded:
		return taken
	case remediate.TakeAdopted:
		return taken && !take.Generation.Same(g)
	case remediate.TakeSettled:
		return taken && take.Half
	case remediate.OrderEnded:
		return stands
	case remediate.OrderAdopted:
		return stands && !(order.Applied && order.Generation.Same(g))
	}
	return true
}
