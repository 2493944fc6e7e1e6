package control

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate"
)

// Order is what an operator asks for.
type Order struct {
	Backend, Server string
	Want            remediate.Verb // Drain, Maint or Ready
	Reason          string
	By              string
	For             time.Duration // 0: until the operator ends it
	Force           bool          // below the capacity floor too
}

// Do takes an order: it is admitted against a fresh look, written down, carried out, and re-applied after every reload
// until it ends. It works in observe mode and while automation is frozen. The error is a *remediate.Refusal where the
// order breaks a bound.
func (c *Controller) Do(ctx context.Context, o Order) error {
	if err := c.myTurn(ctx); err != nil {
		return err
	}
	defer c.turnOver()
	defer c.Wake()
	seen, err := c.look(ctx)
	if err != nil {
		return fmt.Errorf("read balancer %s: %w", c.settings.Name, err)
	}
	if seen.Denied != "" {
		return fmt.Errorf("balancer %s takes no commands: %s", c.settings.Name, seen.Denied)
	}
	c.settle(seen)
	t := c.target(o.Backend, o.Server)
	view, ok := c.scene(seen).named(o.Backend)
	if o.Want == remediate.Ready && c.endGone(view, o, seen) {
		return nil
	}
	if !ok {
		return &remediate.Refusal{Target: t, Reason: remediate.HoldUnknownServer, Detail: "the balancer has no such backend; `lbmedic status` lists them"}
	}
	if err := remediate.Admit(view, o.Server, o.Want, o.Force); err != nil {
		return err
	}
	before := c.book.Ledger()
	if has(before.Pending, t) {
		return &remediate.Refusal{Target: t, Reason: remediate.HoldPending, Detail: beingReadBack}
	}
	if o.Want == remediate.Ready {
		return c.ready(ctx, view, o, t)
	}
	order := remediate.Order{Want: o.Want, Reason: o.Reason, By: o.By, At: time.Now()}
	if o.For > 0 {
		order.Until = order.At.Add(o.For)
	}
	if _, err := c.book.Append(remediate.KindOrder, remediate.OrderRecord{Target: t, Order: order}); err != nil {
		return fmt.Errorf("write down the order for %s: %w", t, err)
	}
	view, _ = c.scene(seen).named(o.Backend)
	reason, err := c.obey(ctx, view, t, o.By)
	if reason != "" {
		c.withdraw(before, t, reason, seen.Generation)
	}
	return err
}

// beingReadBack is what an operator is told of a server with a command of unknown outcome.
const beingReadBack = "the outcome of an earlier command is being read back; try again in a second"

// obey carries out what the new order wants of its server, and nothing else. A reason says that the order is not kept:
// an operator who is told of a refusal does not expect it to be carried out later.
func (c *Controller) obey(ctx context.Context, view remediate.View, t remediate.Target, by string) (remediate.Reason, error) {
	plan := remediate.Decide(view)
	for _, f := range plan.Fact {
		if f.Target == t {
			c.fact(f, view.Generation)
		}
	}
	for _, a := range plan.Take {
		if a.Target == t && (a.Verb == remediate.Drain || a.Verb == remediate.Maint) {
			result, err := c.step(ctx, view.Generation, a, by)
			if result == remediate.Refused {
				return remediate.BalancerRefused, err
			}
			return "", err
		}
	}
	for _, h := range plan.Hold {
		if h.Target == t && (h.Want == remediate.Drain || h.Want == remediate.Maint) {
			return h.Reason, &remediate.Refusal{Target: t, Reason: h.Reason, Detail: h.Detail}
		}
	}
	return "", nil // it is so already
}

// withdraw ends an order that was refused after it had been written down. The one that it replaced stands again.
func (c *Controller) withdraw(before *remediate.Ledger, t remediate.Target, reason remediate.Reason, g remediate.Generation) {
	c.fact(remediate.Fact{Target: t, Change: remediate.OrderEnded, Reason: reason}, g)
	order, stood := before.Orders[t]
	if !stood {
		return
	}
	if _, err := c.book.Append(remediate.KindOrder, remediate.OrderRecord{Target: t, Order: order}); err != nil {
		c.log.Error("the order that stood before could not be written down again", zap.Stringer("target", t), zap.Error(err))
	}
}

// endGone ends an order on a server that the balancer no longer has, and reports whether there was one.
func (c *Controller) endGone(view remediate.View, o Order, seen Observation) bool {
	for _, s := range view.Backend.Servers {
		if s.Name == o.Server {
			return false
		}
	}
	t := c.target(o.Backend, o.Server)
	if !c.fact(remediate.Fact{Target: t, Change: remediate.OrderEnded, Reason: remediate.OperatorOrder}, seen.Generation) {
		return false
	}
	c.book.Saw(Sighting{Balancer: t.Balancer, Target: t.String(), What: "ready", Detail: "the server is gone, and the order on it is ended by " + o.By})
	return true
}

// ready ends every order on the server and undoes what automation did to it: the operator's word is the last. Automation
// keeps away from it until its sidecar passes, also where it would have taken it only a moment later.
func (c *Controller) ready(ctx context.Context, view remediate.View, o Order, t remediate.Target) error {
	_, taken := c.book.Ledger().Takes[t]
	for i, a := range remediate.PutBack(view, o.Server, o.Reason) {
		if _, err := c.step(ctx, view.Generation, a, o.By); err != nil {
			return err
		}
		if i == 0 && (taken || fails(view.Backend, o.Server)) {
			c.fact(remediate.Fact{Target: t, Change: remediate.OverrideSet, Reason: remediate.OperatorOrder}, view.Generation)
		}
	}
	return nil
}

func fails(b remediate.Backend, server string) bool {
	for _, s := range b.Servers {
		if s.Name == server {
			return s.Evidence.Status == healthd.Fail
		}
	}
	return false
}
