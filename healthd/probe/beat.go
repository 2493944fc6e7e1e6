package probe

import (
	"context"
	"fmt"
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
// twice a minute if not, until ctx ends; then once more, unless the disk hangs. It waits for no disk: one that hangs keeps nobody from an answer, so no
// watchdog is to end us for it.
func (b *Board) Run(ctx context.Context) error {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	var saved save
	var saving chan save // of the one save that is under way, if any is
	var later <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			b.mu.Lock()
			b.running = false
			b.flush(time.Now())
			b.mu.Unlock()
			b.lastSave(saved, saving)
			return nil
		case saved = <-saving:
			saving = nil
			continue
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
		if age := time.Since(saved.at); saving == nil && (age >= saveEvery || b.Latest().Generation != saved.generation && age >= saved.pause()) {
			saving = b.save(saved)
		}
	}
}

// lastSaveWithin bounds how long a stop waits for a disk.
const lastSaveWithin = 3 * time.Second

// save is what the last attempt to save came to.
type save struct {
	generation uint64
	at         time.Time
	took       time.Duration
	failed     bool
}

// pause is how long to wait before the next, so that the many changes of many checks cost a twentieth of a core at most.
func (s *save) pause() time.Duration { return 20 * s.took }

// save begins to save the latest snapshot, and gives what becomes of it.
func (b *Board) save(last save) chan save {
	s, began, done := b.Latest(), time.Now(), make(chan save, 1)
	go func() {
		err := b.keep(b.dir, s)
		if err != nil && !last.failed {
			b.problem(err)
		}
		done <- save{generation: s.Generation, at: time.Now(), took: time.Since(began), failed: err != nil}
	}()
	return done
}

// lastSave saves once more, after the save that may be under way, and waits for both at most lastSaveWithin.
func (b *Board) lastSave(last save, saving chan save) {
	limit := time.NewTimer(lastSaveWithin)
	defer limit.Stop()
	for again := true; again || saving != nil; {
		if saving == nil {
			saving, again = b.save(last), false
		}
		select {
		case last = <-saving:
			saving = nil
		case <-limit.C:
			b.problem(fmt.Errorf("save the snapshot: the disk gave no answer for %s; the next start may begin without it", lastSaveWithin))
			return
		}
	}
}
