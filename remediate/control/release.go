package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/lbmedic/lbmedic/remediate"
)

// Release undoes own takes that are open on this balancer, because an operator asked for it: those that which is true
// of, or all where it is nil. The servers stay in until their sidecars pass: automation does not take them again before.
// One that cannot be released keeps none of the others: the error names each.
func (c *Controller) Release(ctx context.Context, by string, which func(remediate.Target) bool) (released []remediate.Target, err error) {
	if err := c.myTurn(ctx); err != nil {
		return nil, err
	}
	defer c.turnOver()
	defer c.Wake()
	seen, err := c.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("read balancer %s: %w", c.settings.Name, err)
	}
	c.settle(seen)
	scene := c.scene(seen)
	var failed []error
	for i := range scene.rows {
		plan := remediate.Release(scene.of(i))
		for _, f := range plan.Fact {
			if which == nil || which(f.Target) {
				c.fact(f, seen.Generation)
			}
		}
		for _, h := range plan.Hold {
			if which == nil || which(h.Target) {
				failed = append(failed, &remediate.Refusal{Target: h.Target, Reason: h.Reason, Detail: beingReadBack})
			}
		}
		for _, a := range plan.Take {
			if which != nil && !which(a.Target) {
				continue
			}
			c.fact(remediate.Fact{Target: a.Target, Change: remediate.OverrideSet, Reason: remediate.ReleaseOrder}, seen.Generation)
			if _, err := c.step(ctx, seen.Generation, a, by); err != nil {
				failed = append(failed, err)
				continue
			}
			released = append(released, a.Target)
		}
	}
	return released, errors.Join(failed...)
}
