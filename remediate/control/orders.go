package control

import (
	"context"
	"fmt"
	"time"

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
	view, ok := c.viewOf(seen, o.Backend)
	if !ok {
		return &remediate.Refusal{Target: t, Reason: remediate.HoldUnknownServer, Detail: "the balancer has no such backend; `lbmedic status` lists them"}
	}
	if err := remediate.Admit(view, o.Server, o.Want, o.Force); err != nil {
		return err
	}
	if _, pending := c.book.Ledger().Pending[t]; pending {
		return &remediate.Refusal{Target: t, Reason: remediate.HoldPending, Detail: "the outcome of an earlier command is being read back; try again in a second"}
	}
	if o.Want == remediate.Ready {
		return c.ready(ctx, seen, o, t)
	}
	order := remediate.Order{Want: o.Want, Reason: o.Reason, By: o.By, At: time.Now()}
	if o.For > 0 {
		order.Until = order.At.Add(o.For)
	}
	if _, err := c.book.Append(remediate.KindOrder, remediate.OrderRecord{Target: t, Order: order}); err != nil {
		return fmt.Errorf("write down the order for %s: %w", t, err)
	}
	view, _ = c.viewOf(seen, o.Backend)
	return c.obey(ctx, seen, view, t, o.By)
}

// obey carries out what the new order wants of its server, and nothing else.
func (c *Controller) obey(ctx context.Context, seen Observation, view remediate.View, t remediate.Target, by string) error {
	plan := remediate.Decide(view)
	for _, f := range plan.Fact {
		if f.Target == t {
			c.fact(f, seen.Generation)
		}
	}
	for _, a := range plan.Take {
		if a.Target == t && (a.Verb == remediate.Drain || a.Verb == remediate.Maint) {
			result, err := c.step(ctx, seen.Generation, a, by)
			if result == remediate.Refused {
				c.fact(remediate.Fact{Target: t, Change: remediate.OrderEnded, Reason: remediate.BalancerRefused}, seen.Generation)
			} else if err != nil {
				err = fmt.Errorf("%w; the order stands and is tried again, until `lbmedic ready` ends it", err)
			}
			return err
		}
	}
	for _, h := range plan.Hold {
		if h.Target == t && (h.Want == remediate.Drain || h.Want == remediate.Maint) {
			return &remediate.Refusal{Target: t, Reason: h.Reason, Detail: h.Detail}
		}
	}
	return nil // it is so already
}

// ready ends every order on the server and undoes what automation did to it: the operator's word is the last.
func (c *Controller) ready(ctx context.Context, seen Observation, o Order, t remediate.Target) error {
	ledger := c.book.Ledger()
	if _, err := c.step(ctx, seen.Generation, remediate.Action{Verb: remediate.Ready, Target: t, Reason: remediate.OperatorOrder, Detail: o.Reason}, o.By); err != nil {
		return err
	}
	take, taken := ledger.Takes[t]
	if !taken {
		return nil
	}
	c.fact(remediate.Fact{Target: t, Change: remediate.OverrideSet, Reason: remediate.OperatorOrder}, seen.Generation)
	undo := remediate.Action{Verb: take.Verb.Undo(), Target: t, Reason: remediate.OperatorOrder, Weight: take.Weight}
	_, err := c.step(ctx, seen.Generation, undo, o.By)
	return err
}

func (c *Controller) viewOf(seen Observation, backend string) (remediate.View, bool) {
	for i, b := range seen.Backends {
		if b.Name == backend {
			return c.view(seen, i), true
		}
	}
	return remediate.View{}, false
}

// Release undoes own takes that are open on this balancer, because an operator asked for it: those that which is true
// of, or all where it is nil. The servers stay in until their sidecars pass: automation does not take them again before.
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
	for i := range seen.Backends {
		plan := remediate.Release(c.view(seen, i))
		for _, f := range plan.Fact {
			if which == nil || which(f.Target) {
				c.fact(f, seen.Generation)
			}
		}
		for _, a := range plan.Take {
			if which != nil && !which(a.Target) {
				continue
			}
			c.fact(remediate.Fact{Target: a.Target, Change: remediate.OverrideSet, Reason: remediate.ReleaseOrder}, seen.Generation)
			if _, err := c.step(ctx, seen.Generation, a, by); err != nil {
				return released, err
			}
			released = append(released, a.Target)
		}
	}
	return released, nil
}

// Progress is how far a drain is.
type Progress struct {
	State  remediate.DrainState `json:"state"`
	Detail string               `json:"detail,omitempty"`
	Use    remediate.Use        `json:"use"`
}

// drainPoll is how often a drain is looked at.
const drainPoll = 100 * time.Millisecond

// AwaitDrained returns once the server can be stopped without losing a request, and tells each change on the way. It
// returns ctx's error when that takes too long. What cannot be seen is told as unknown and waited for.
func (c *Controller) AwaitDrained(ctx context.Context, backend, server string, tell func(Progress)) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	var last Progress
	for {
		p := c.progress(ctx, backend, server)
		if ctx.Err() == nil && (p.State != last.State || p.Detail != last.Detail) {
			tell(p)
			last = p
		}
		if p.State == remediate.Drained {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// progress looks once. Use alone does not make a drain: a new worker may have forgotten it and may not have been told
// again yet, so the server must be seen out of service first.
func (c *Controller) progress(ctx context.Context, backend, server string) Progress {
	seen, err := c.balancer.Observe(ctx)
	if err != nil {
		return Progress{State: remediate.DrainUnknown, Detail: text(err)}
	}
	for _, b := range seen.Backends {
		for _, s := range b.Servers {
			if b.Name == backend && s.Name == server && s.Admin&remediate.OutOfService == 0 {
				return Progress{State: remediate.Draining, Detail: "it is in service"}
			}
		}
	}
	use, err := c.balancer.Use(ctx, backend, server)
	if err != nil {
		return Progress{State: remediate.DrainUnknown, Detail: text(err)}
	}
	state, detail := use.Drained()
	if state != remediate.Drained && use.Bounds != "" {
		detail += " (bounded by " + use.Bounds + ")"
	}
	return Progress{State: state, Detail: detail, Use: use}
}
