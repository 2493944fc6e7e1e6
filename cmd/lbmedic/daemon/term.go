package daemon

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd"
)

// The times of a stop that drains.
const (
	// deafDrain is how long balancers of which nothing is known have to hear of it: HAProxy's default check, 3 failures at 2 s apart, and some.
	deafDrain = 8 * time.Second
	// leaveAgain is how long all must have been gone before that counts: a request that was sent before a balancer heard is still on its way.
	leaveAgain = time.Second
	// stopWithin is what the stop itself takes at most, once everybody has left.
	stopWithin = 10 * time.Second
	// keepDrain is how long the disk may take to keep the drain.
	keepDrain = 2 * time.Second
	// extend is for how long each message asks systemd to wait for the next.
	extend = 5 * time.Second

	drainBeat = 250 * time.Millisecond
)

// TermTimeout is the longest that a stop may take, the drain and all.
func (d *Daemon) TermTimeout() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.config.Health == nil || d.config.Health.OnTerm != config.OnTermDrain {
		return stopWithin
	}
	return d.config.Health.TermTimeout + stopWithin
}

// Drain is the lame duck: it tells everybody who asks that this instance is about to stop, and waits until the balancers have left it, for
// health.term_timeout at most, or until ctx is done. It is what SIGTERM does where health.on_term is drain. Readiness fails, liveness does not.
func (d *Daemon) Drain(ctx context.Context) {
	notify(d.log, systemd.SdNotifyStopping)
	d.mu.Lock()
	health := d.config.Health
	d.mu.Unlock()
	if d.sidecar == nil || health.OnTerm != config.OnTermDrain || len(d.sidecar.board.Latest().Services) == 0 {
		return
	}
	if err := keptWithin(keepDrain, d.sidecar.drain); err != nil {
		d.log.Error("keep the drain of this stop on disk; it is told all the same, but not by the agent-check", zap.Error(err))
		d.sidecar.board.Leave(healthd.Admin{State: healthd.Drain, By: healthd.ByShutdown, Reason: "lbmedic stops"})
	}
	d.log.Info("draining before the stop", zap.Duration("for at most", health.TermTimeout))
	ctx, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	var controllers witnessed
	beside.Go(func() { controllers.run(ctx, d.sidecar.names, d.admin.Witnessed) })
	ended := lameDuck{limit: health.TermTimeout,
		present: func(since time.Time) presence { return d.sidecar.present(since).and(controllers.presence()) },
		tell: func(text string) {
			notify(d.log, "STATUS="+text, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extend.Microseconds()))
		}}.wait(ctx)
	d.log.Info("drained", zap.String("because", ended))
	notify(d.log, "STATUS=drained: "+ended, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", stopWithin.Microseconds()))
}

// keptWithin is the error of keep, or that it did not end in time: a disk may hang.
func keptWithin(limit time.Duration, keep func() error) error {
	kept := make(chan error, 1)
	go func() { kept <- keep() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-kept:
		return err
	case <-timer.C:
		return fmt.Errorf("the disk gave no answer for %s", limit)
	}
}

// presence is who still sends this instance traffic, as far as it is known.
type presence struct {
	known bool     // somebody tells us; otherwise only time can
	who   []string // balancers and what they still have here; none: all have left
}

// lameDuck waits for the balancers to leave.
type lameDuck struct {
	present func(since time.Time) presence // what is known since the drain began
	limit   time.Duration
	tell    func(string) // hears how far it is, about once a second
}

// wait returns why it ended.
func (l lameDuck) wait(ctx context.Context) string {
	begun := time.Now()
	limit := time.NewTimer(l.limit)
	defer limit.Stop()
	beat := time.NewTicker(drainBeat)
	defer beat.Stop()
	var gone, told time.Time // since when all have left; when tell last heard
	for {
		p, now := l.present(begun), time.Now()
		switch {
		case !p.known && now.Sub(begun) >= deafDrain:
			return "no balancer tells its view, and all had time to hear"
		case !p.known || len(p.who) > 0:
			gone = time.Time{}
		case gone.IsZero():
			gone = now
		case now.Sub(gone) >= leaveAgain:
			return "every balancer has left"
		}
		if now.Sub(told) >= time.Second {
			told = now
			l.tell(p.text(l.limit - now.Sub(begun)))
		}
		select {
		case <-ctx.Done():
			return "it was cut short"
		case <-limit.C:
			return "health.term_timeout is over; still there: " + p.list()
		case <-beat.C:
		}
	}
}

func (p presence) text(left time.Duration) string {
	return fmt.Sprintf("draining, %s at most; still there: %s", left.Round(time.Second), p.list())
}

func (p presence) list() string {
	switch {
	case !p.known:
		return "unknown, no balancer tells its view"
	case len(p.who) == 0:
		return "nobody"
	}
	return strings.Join(p.who, ", ")
}
