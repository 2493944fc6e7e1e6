package control

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/remediate"
)

// carryOut writes down the facts of a plan and takes its steps. It reports whether anything was done.
func (c *Controller) carryOut(ctx context.Context, g remediate.Generation, plan remediate.Plan, by string) (acted bool) {
	for _, f := range plan.Fact {
		acted = c.fact(f, g) || acted
	}
	for _, a := range plan.Take {
		if ctx.Err() != nil {
			return acted
		}
		_, err := c.step(ctx, g, a, by)
		acted = acted || err == nil
	}
	return acted
}

// step is one action: the intent is on disk before its first byte is sent, the outcome afterwards (S7).
func (c *Controller) step(ctx context.Context, g remediate.Generation, a remediate.Action, by string) (remediate.Result, error) {
	begun := time.Now()
	seq, err := c.book.Append(remediate.KindIntent, remediate.IntentRecord{Action: a, Generation: g, By: by})
	if err != nil {
		c.log.Error("nothing is done that cannot be journaled", zap.Stringer("action", a), zap.Error(err))
		return remediate.Unknown, fmt.Errorf("journal %s: %w", a, err)
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

func (c *Controller) fact(f remediate.Fact, g remediate.Generation) bool {
	_, err := c.book.Append(remediate.KindFact, remediate.FactRecord{Fact: f, Generation: g})
	if err != nil {
		c.log.Error("a fact could not be journaled", zap.Stringer("target", f.Target), zap.String("change", string(f.Change)), zap.Error(err))
		return false
	}
	c.log.Info("noted", zap.Stringer("target", f.Target), zap.String("change", string(f.Change)), zap.String("reason", string(f.Reason)))
	return true
}
