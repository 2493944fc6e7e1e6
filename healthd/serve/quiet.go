package serve

import (
	"context"
	"time"
)

// How a listener that has closed waits for what it had accepted.
const (
	quietBeat = 2 * time.Millisecond
	firstWord = 500 * time.Millisecond // for the head of a request: a check sends it at once
)

// quiet waits until every request that came in is answered, or until ctx ends. A server of net/http that shuts down drops without a word
// the request that it is just reading, which would be a failed check for each restart of ours.
func (g *guarded) quiet(ctx context.Context) {
	tick := time.NewTicker(quietBeat)
	defer tick.Stop()
	for g.busy(time.Now()) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (g *guarded) busy(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		switch age := now.Sub(time.Unix(0, c.since.Load())); c.phase.Load() {
		case answering, waiting:
			return true
		case heading:
			if age < firstWord {
				return true
			}
		}
	}
	return false
}
