package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// PollWait is how long one poll of Follow waits for a change.
	PollWait = 30 * time.Second

	firstRetry   = 100 * time.Millisecond
	lastRetry    = time.Second           // at most, so that a recovery is noticed soon
	notOursRetry = time.Minute           // at least; something else on that port is not to be pestered
	pace         = 20 * time.Millisecond // at least between two polls, whatever a sidecar answers
)

// Follow asks for ever by long polls and tells each answer, and each error, to hear, until ctx ends. After an error it tries again, at most
// a second later, and once a minute where ErrNotSidecar answers. The first poll after an error asks for the state as it is.
func (c *Client) Follow(ctx context.Context, address string, hear func(Answer, error)) {
	after, retry := "", firstRetry
	for ctx.Err() == nil {
		started := time.Now()
		a, err := c.Ask(ctx, address, after, PollWait)
		if ctx.Err() != nil {
			return // a stop is not a failure
		}
		hear(a, err)
		var pause time.Duration
		switch {
		case errors.Is(err, ErrNotSidecar):
			after, pause = "", 2*notOursRetry
		case err != nil:
			after, pause = "", retry
			retry = min(2*retry, lastRetry)
		case a.Generation == after && time.Since(started) < PollWait/2:
			// It answers without waiting, having too many callers: asking at once again would make that worse.
			pause = lastRetry
		default:
			after, retry, pause = a.Generation, firstRetry, max(0, 2*(pace-time.Since(started)))
		}
		if pause > 1 && !sleep(ctx, pause/2+rand.N(pause/2)) {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
