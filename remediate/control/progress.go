package control

import (
	"context"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

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

// Drained looks once.
func (c *Controller) Drained(ctx context.Context, backend, server string) Progress {
	return c.progress(ctx, backend, server)
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
