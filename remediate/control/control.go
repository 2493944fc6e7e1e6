// Package control is the loop around the decision: it observes a balancer, asks remediate what to do, writes that down,
// does it, and writes down what came of it. One Controller works one balancer; a Book and the Sidecars are shared.
package control

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
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
	turned   atomic.Pointer[time.Time]

	turn    chan struct{}                  // holds one token: one round or one order at a time, one actor (S6)
	notDone map[remediate.Target]time.Time // by turn: since when a command of unknown outcome reads as not carried out
	missing map[remediate.Target]time.Time // by turn: since when a server on which an order stands is gone
	held    map[held]time.Time             // by turn: what was held back lately, and when it last was
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
		notDone: map[remediate.Target]time.Time{}, missing: map[remediate.Target]time.Time{}, held: map[held]time.Time{}}
}

// Inherit has c go on where old, which works the same balancer, is: it takes over what old last saw and planned, and
// shares its turn, so that of the two one acts at a time. It comes before c is used.
func (c *Controller) Inherit(old *Controller) {
	c.turn, c.notDone, c.missing, c.held = old.turn, old.notDone, old.missing, old.held
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
	if news := c.changesOf(before, seen); len(news) > 0 {
		c.book.Saw(news...)
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
