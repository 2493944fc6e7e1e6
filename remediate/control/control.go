// Package control is the loop around the decision: it observes a balancer, asks remediate what to do, writes that down,
// does it, and writes down what came of it. One Controller works one balancer; a Book and the Sidecars are shared.
package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/remediate"
)

// Settings of a Controller.
type Settings struct {
	Name     string // of the balancer
	Policy   func(now time.Time) remediate.Policy
	Interval time.Duration // between two looks when nothing wakes the loop; 0 means 500 ms
}

// Controller keeps one balancer's servers in the state that the decision wants.
type Controller struct {
	settings Settings
	balancer Balancer
	book     *Book
	sidecars *Sidecars
	log      *zap.Logger
	wake     chan struct{}

	turn    chan struct{}                  // holds one token: one round or one order at a time, one actor (S6)
	notDone map[remediate.Target]time.Time // since when a command of unknown outcome reads as not carried out

	mu   sync.Mutex // guards what follows
	seen Observation
	plan map[string]remediate.Plan // by backend
	err  error                     // why the last look failed
}

// New makes a Controller; Run starts it.
func New(s Settings, b Balancer, book *Book, sidecars *Sidecars, log *zap.Logger) *Controller {
	if s.Interval <= 0 {
		s.Interval = 500 * time.Millisecond
	}
	c := &Controller{settings: s, balancer: b, book: book, sidecars: sidecars, log: log.With(zap.String("balancer", s.Name)),
		wake: make(chan struct{}, 1), plan: map[string]remediate.Plan{},
		notDone: map[remediate.Target]time.Time{}, turn: make(chan struct{}, 1)}
	return c
}

// Wake says "look again". It carries no data and never blocks.
func (c *Controller) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Log is where the controller tells what it does.
func (c *Controller) Log() *zap.Logger { return c.log }

// Run works until ctx is done. A balancer that cannot be read is tried again each interval.
func (c *Controller) Run(ctx context.Context) error {
	stop := c.book.onChange(c.Wake)
	defer stop()
	defer c.sidecars.Forget(c.settings.Name)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.wake:
		}
		begun := time.Now()
		next := c.round(ctx)
		// A balancer of 10,000 servers takes longer to read; it may cost at most a twentieth of a core.
		timer.Reset(min(next, max(c.settings.Interval, 20*time.Since(begun))))
	}
}

// myTurn waits for this caller's turn to act.
func (c *Controller) myTurn(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for what else is done on balancer %s: %w", c.settings.Name, context.Cause(ctx))
	}
}

func (c *Controller) turnOver() { <-c.turn }

// round is one turn of the loop; it returns how long nothing can be due.
func (c *Controller) round(ctx context.Context) time.Duration {
	if err := c.myTurn(ctx); err != nil {
		return c.settings.Interval
	}
	defer c.turnOver()
	seen, err := c.look(ctx)
	if err != nil {
		return c.settings.Interval
	}
	if c.settle(seen) || c.decide(ctx, seen) {
		c.Wake() // something changed: see what it led to
	}
	next := c.settings.Interval
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.plan {
		if !p.Wake.IsZero() {
			next = min(next, max(time.Millisecond, time.Until(p.Wake)))
		}
	}
	return next
}

// look observes the balancer and has its sidecars followed. It tells once when that starts or stops to fail.
func (c *Controller) look(ctx context.Context) (Observation, error) {
	seen, err := c.balancer.Observe(ctx)
	if ctx.Err() != nil {
		return seen, ctx.Err()
	}
	c.mu.Lock()
	before, failed := c.seen, c.err
	c.err = err
	if err == nil {
		c.seen = seen
	} else {
		c.plan = map[string]remediate.Plan{}
	}
	c.mu.Unlock()
	switch {
	case err != nil && failed == nil:
		c.log.Warn("the balancer cannot be read; nothing is done until it can", zap.Error(err))
		c.book.Saw(Sighting{Balancer: c.settings.Name, What: "unreadable", Detail: err.Error()})
	case err == nil && failed != nil:
		c.log.Info("the balancer answers again")
		c.book.Saw(Sighting{Balancer: c.settings.Name, What: "readable"})
	}
	if err != nil {
		return seen, err
	}
	if seen.Denied != before.Denied && seen.Denied != "" {
		c.log.Warn("the balancer takes no commands; nothing is done until it does", zap.String("why", seen.Denied))
		c.book.Saw(Sighting{Balancer: c.settings.Name, What: "denied", Detail: seen.Denied})
	}
	if !seen.Generation.Same(before.Generation) {
		c.book.Saw(Sighting{Balancer: c.settings.Name, What: "generation", Detail: fmt.Sprintf("worker %d, version %s", seen.Generation.PID, seen.Version)})
	}
	urls := map[string]bool{}
	for _, b := range seen.Backends {
		for _, url := range b.Sidecars {
			urls[url] = true
		}
	}
	c.sidecars.Follow(c.settings.Name, urls, c.Wake)
	return seen, nil
}

// decide plans for each backend and carries the plans out. It reports whether anything was done.
func (c *Controller) decide(ctx context.Context, seen Observation) (acted bool) {
	for i := range seen.Backends {
		view := c.view(seen, i)
		plan := remediate.Decide(view)
		c.publish(view.Backend.Name, plan)
		acted = c.carryOut(ctx, seen.Generation, plan, "") || acted
	}
	return acted
}

// publish keeps the plan for status, and tells people what changed in what is held back.
func (c *Controller) publish(backend string, plan remediate.Plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := map[string]bool{}
	for _, h := range c.plan[backend].Hold {
		told[h.Target.Server+string(h.Reason)] = true
	}
	for _, h := range plan.Hold {
		if !told[h.Target.Server+string(h.Reason)] {
			c.log.Info("held back", zap.Stringer("target", h.Target), zap.String("want", string(h.Want)),
				zap.String("reason", string(h.Reason)), zap.String("detail", h.Detail))
			c.book.Saw(Sighting{Balancer: c.settings.Name, Target: h.Target.String(), What: "held", Detail: h.String()})
		}
	}
	c.plan[backend] = plan
}
