package control

import (
	"context"
	"errors"
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
	return c.fact(remediate.Fact{Target: c.target(o.Backend, o.Server), Change: remediate.OrderEnded, Reason: remediate.OperatorLifted}, seen.Generation)
}

// ready ends every order on the server and undoes what automation did to it: the operator's word is the last. Automation
// keeps away from it until its sidecar passes, also where it would have taken it only a moment later.
func (c *Controller) ready(ctx context.Context, view remediate.View, o Order, t remediate.Target) error {
	take, taken := c.book.Ledger().Takes[t]
	if _, err := c.step(ctx, view.Generation, remediate.Action{Verb: remediate.Ready, Target: t, Reason: remediate.OperatorOrder, Detail: o.Reason}, o.By); err != nil {
		return err
	}
	if taken || fails(view.Backend, o.Server) {
		c.fact(remediate.Fact{Target: t, Change: remediate.OverrideSet, Reason: remediate.OperatorOrder}, view.Generation)
	}
	if !taken {
		return nil
	}
	undo := remediate.Action{Verb: take.Verb.Undo(), Target: t, Reason: remediate.OperatorOrder, Weight: take.Weight}
	_, err := c.step(ctx, view.Generation, undo, o.By)
	return err
}

func fails(b remediate.Backend, server string) bool {
	for _, s := range b.Servers {
		if s.Name == server {
			return s.Evidence.Status == healthd.Fail
		}
	}
	return false
}

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

// Progress is how far a drain is.
type Progress struct {
	State  remediate.DrainState `json:"state"`
	Detail string               `json:"detail,omitempty"`
	Use    remediate.Use        `json:"use"`
}

// A drain is looked at each drainPoll, and where looking takes long, no more than a tenth of the time.
const (
	drainPoll = 100 * time.Millisecond
	drainRest = 10
)

// AwaitDrained returns once the server can be stopped without losing a request, and tells each change on the way. It
// returns ctx's error when that takes too long. What cannot be seen is told as unknown and waited for.
func (c *Controller) AwaitDrained(ctx context.Context, backend, server string, tell func(Progress)) error {
	again := time.NewTimer(0)
	defer again.Stop()
	var last Progress
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
		begun := time.Now()
		p := c.progress(ctx, backend, server)
		again.Reset(max(drainPoll, drainRest*time.Since(begun)))
		if ctx.Err() == nil && (p.State != last.State || p.Detail != last.Detail) {
			tell(p)
			last = p
		}
		if p.State == remediate.Drained {
			return nil
		}
	}
}

// progress looks once. Use tells whether the server is in service too: a new worker may have forgotten a drain and may
// not have been told again yet.
func (c *Controller) progress(ctx context.Context, backend, server string) Progress {
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
