package control

import (
	"context"
	"time"
)

// Looked is closed once the first look has ended, whether it went well or not.
func (c *Controller) Looked() <-chan struct{} { return c.looked }

// Turned is when the loop last began a turn, zero before the first: whoever watches over the process sees a loop that hangs. A turn waits for the
// balancer and may take some seconds; without news there is one each 5 s at least.
func (c *Controller) Turned() time.Time {
	if at := c.turned.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

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
		now := time.Now()
		c.turned.Store(&now)
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
