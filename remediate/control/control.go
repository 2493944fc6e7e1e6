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
	looked   chan struct{} // closed once the first look has ended
	once     sync.Once     // closes it

	turn    chan struct{}                  // holds one token: one round or one order at a time, one actor (S6)
	notDone map[remediate.Target]time.Time // by turn: since when a command of unknown outcome reads as not carried out
	missing map[remediate.Target]time.Time // by turn: since when a server on which an order stands is gone
	noted   bool                           // by turn: the last round noted something new

	mu   sync.Mutex // guards what follows; nothing is written to disk while it is held
	seen Observation
	plan map[string]remediate.Plan // by backend
	err  error                     // why the last look failed
}

// New makes a Controller; Run starts it.
func New(s Settings, b Balancer, book *Book, sidecars *Sidecars, log *zap.Logger) *Controller {
	if s.Interval <= 0 {
		s.Interval = 500 * time.Millisecond
	}
	return &Controller{settings: s, balancer: b, book: book, sidecars: sidecars, log: log.With(zap.String("balancer", s.Name)),
		wake: make(chan struct{}, 1), looked: make(chan struct{}), turn: make(chan struct{}, 1), plan: map[string]remediate.Plan{},
		notDone: map[remediate.Target]time.Time{}, missing: map[remediate.Target]time.Time{}}
}

// Inherit has c go on where old, which works the same balancer, is: it takes over what old last saw and planned, and
// shares its turn, so that of the two one acts at a time. It comes before c is used.
func (c *Controller) Inherit(old *Controller) {
	c.turn, c.notDone, c.missing = old.turn, old.notDone, old.missing
	old.mu.Lock()
	defer old.mu.Unlock()
	c.seen, c.plan, c.err = old.seen, old.plan, old.err
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

// Looked is closed once the first look has ended, whether it went well or not.
func (c *Controller) Looked() <-chan struct{} { return c.looked }

// Bounds of what the loop costs, given that reading and deciding took some time: how often as long it stays away after
// that, when woken, and when nothing happens. So 10,000 servers whose sidecars flap take a fifth of a core at most, and a
// twentieth when they are quiet.
const (
	pauseWoken = 4
	pauseIdle  = 20
	pauseMost  = 5 * time.Second       // longer than that it never stays away
	pauseLeast = 10 * time.Millisecond // nor shorter
)

// Run works until ctx is done. A balancer that cannot be read is tried again each interval. Who ends it for good forgets
// its sidecars.
func (c *Controller) Run(ctx context.Context) error {
	defer c.once.Do(func() { close(c.looked) })
	stop := c.book.onChange(c.Wake)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var free time.Time // when the next round may begin
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.wake:
		}
		if wait := time.Until(free); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
		}
		select {
		case <-c.wake: // the round that begins now sees what it was about
		default:
		}
		due, cost := c.round(ctx)
		free = time.Now().Add(min(pauseMost, max(pauseLeast, pauseWoken*cost)))
		next := max(c.settings.Interval, min(pauseMost, pauseIdle*cost))
		if !due.IsZero() {
			next = min(next, max(pauseLeast, time.Until(due)))
		}
		timer.Reset(next)
	}
}

// myTurn waits for this caller's turn to act.
func (c *Controller) myTurn(ctx context.Context) error {
	err := ctx.Err() // where both are ready, a select takes either
	if err == nil {
		select {
		case c.turn <- struct{}{}:
			return nil
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("wait for what else is done on balancer %s: %w", c.settings.Name, context.Cause(ctx))
}

func (c *Controller) turnOver() { <-c.turn }

// round is one turn of the loop. It returns when something is due at the latest, and how long reading and deciding took.
func (c *Controller) round(ctx context.Context) (due time.Time, cost time.Duration) {
	if err := c.myTurn(ctx); err != nil {
		return due, 0
	}
	defer c.turnOver()
	if c.book.retry(time.Now()) {
		c.log.Info("the journal can be written again")
	}
	begun := time.Now()
	seen, err := c.look(ctx)
	c.once.Do(func() { close(c.looked) })
	if err != nil {
		return due, 0
	}
	cost = time.Since(begun)
	settled := c.settle(seen)
	begun = time.Now()
	plans := c.decide(seen)
	cost += time.Since(begun)
	noted, acted := c.carryOut(ctx, seen, plans)
	if acted || settled || noted && !c.noted {
		c.Wake() // something changed: see what it led to
	}
	c.noted = noted // facts that only lead to other facts have time until the next interval
	for _, p := range plans {
		if !p.Wake.IsZero() && (due.IsZero() || p.Wake.Before(due)) {
			due = p.Wake
		}
	}
	return due, cost
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

// decide plans for each backend, tells what is newly held back, and keeps the plans for status.
func (c *Controller) decide(seen Observation) []remediate.Plan {
	scene := c.scene(seen)
	plans := make([]remediate.Plan, len(scene.rows))
	plan := make(map[string]remediate.Plan, len(scene.rows))
	for i, b := range scene.rows {
		plans[i] = remediate.Decide(scene.of(i))
		plan[b.Name] = plans[i]
	}
	c.mu.Lock()
	before := c.plan
	c.plan = plan
	c.mu.Unlock()
	c.tell(before, plans)
	return plans
}

// maxTold is how many steps that are held back are told in one round; a count stands for the rest.
const maxTold = 20

// tell tells people what is held back now and was not before.
func (c *Controller) tell(before map[string]remediate.Plan, plans []remediate.Plan) {
	type held struct {
		target remediate.Target
		want   remediate.Verb
		reason remediate.Reason
	}
	told := map[held]bool{}
	for _, p := range before {
		for _, h := range p.Hold {
			told[held{h.Target, h.Want, h.Reason}] = true
		}
	}
	var news []Sighting
	more := 0
	for _, p := range plans {
		for _, h := range p.Hold {
			switch {
			case told[held{h.Target, h.Want, h.Reason}]:
			case len(news) == maxTold:
				more++
			default:
				c.log.Info("held back", zap.Stringer("target", h.Target), zap.String("want", string(h.Want)),
					zap.String("reason", string(h.Reason)), zap.String("detail", h.Detail))
				news = append(news, Sighting{Balancer: c.settings.Name, Target: h.Target.String(), What: "held", Detail: h.String()})
			}
		}
	}
	if more > 0 {
		c.log.Info("more is held back", zap.Int("servers", more))
		news = append(news, Sighting{Balancer: c.settings.Name, What: "held", Detail: fmt.Sprintf("and %d more; `lbmedic status` lists them", more)})
	}
	c.book.Saw(news...)
}
