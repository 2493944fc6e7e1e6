package probe

import (
	"context"
	"time"
)

// Ticked is when Run last had a turn, which it has each second: a watchdog that looks at it sees a board that hangs. Zero before the first.
func (b *Board) Ticked() time.Time {
	if at := b.ticked.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Run publishes details, marks what was not measured lately, and saves the snapshot, once a second if it changed (less often where that takes long) and
// twice a minute if not, until ctx ends; then once more.
func (b *Board) Run(ctx context.Context) error {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	var saved save
	var later <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			b.mu.Lock()
			b.running = false
			b.flush(time.Now())
			b.mu.Unlock()
			b.save(&saved)
			return nil
		case <-b.due:
			if later == nil {
				later = time.After(gap)
			}
			continue
		case <-later:
			later = nil
			b.mu.Lock()
			b.flush(time.Now())
			b.mu.Unlock()
			continue
		case <-tick.C:
		}
		b.mu.Lock()
		now := time.Now()
		b.ticked.Store(&now)
		b.flush(now)
		b.reconsider(now)
		b.publish(b.Latest().Outdate(now))
		b.mu.Unlock()
		if age := time.Since(saved.at); age >= saveEvery || b.Latest().Generation != saved.generation && age >= saved.pause() {
			b.save(&saved)
		}
	}
}

// save is what the last attempt to save came to.
type save struct {
	generation uint64
	at         time.Time
	took       time.Duration
	failed     bool
}

// pause is how long to wait before the next, so that the many changes of many checks cost a twentieth of a core at most.
func (s *save) pause() time.Duration { return 20 * s.took }

func (b *Board) save(last *save) {
	s, began := b.Latest(), time.Now()
	err := saveSnapshot(b.dir, s)
	if err != nil && !last.failed {
		b.problem(err)
	}
	*last = save{generation: s.Generation, at: time.Now(), took: time.Since(began), failed: err != nil}
}
