package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// Drain is one line of GET /v1/drains/BALANCER/BACKEND/SERVER?timeout=5m: how far a drain is. The last line has End.
type Drain struct {
	control.Progress
	End DrainEnd `json:"end,omitempty"`
}

// DrainEnd says why nobody waits for a drain any more.
type DrainEnd string

// The ends of a wait.
const (
	EndDrained  DrainEnd = "drained"
	EndTimeout  DrainEnd = "timeout"  // Progress says what still holds it
	EndLifted   DrainEnd = "lifted"   // somebody ended the order, or its time is over
	EndStopping DrainEnd = "stopping" // lbmedic stops; the order stands
)

// Bounds of a wait.
const (
	defaultWait = 5 * time.Minute
	maxWait     = 24 * time.Hour
	liftedPoll  = 100 * time.Millisecond
)

var (
	errTimeout = errors.New("the time is over")
	errLifted  = errors.New("the order was ended")
)

func (s *Server) drain(r *http.Request, out *lines) error {
	wait, err := waitOf(r)
	if err != nil {
		return err
	}
	t, err := ParseTarget(r.PathValue("balancer") + "/" + r.PathValue("backend") + "/" + r.PathValue("server"))
	if err != nil {
		return problemf(http.StatusBadRequest, BadName, "%s", oneLine(err))
	}
	target, err := s.resolve(t)
	if err != nil {
		return err
	}
	c := s.controllers()[target.Balancer]
	if !has(c.Status(), target) {
		return noServer(target)
	}
	// The time is over by a cancel and not by a deadline, which would show in the last look as a balancer that is too slow.
	ctx, stop := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(wait, func() { stop(errTimeout) })
	defer timer.Stop()
	watch := make(chan struct{})
	go func() { defer close(watch); s.untilLifted(ctx, target, stop) }()
	defer func() { stop(nil); <-watch }()

	out.begin()
	var last control.Progress
	err = c.AwaitDrained(ctx, target.Backend, target.Server, func(p control.Progress) {
		last = p
		if p.State == remediate.Drained {
			return // the last line says so
		}
		if err := out.send(Drain{Progress: p}); err != nil {
			stop(err)
		}
	})
	end := map[error]DrainEnd{nil: EndDrained, errTimeout: EndTimeout, errLifted: EndLifted, errStopping: EndStopping}[err]
	if end == "" {
		return err // the caller has gone
	}
	return out.send(Drain{Progress: last, End: end})
}

// stoppedWaiting is the last line where lbmedic stops; a caller who has gone hears nothing.
func (s *Server) stoppedWaiting(r *http.Request, out *lines, last ServiceDrain) error {
	if err := context.Cause(r.Context()); !errors.Is(err, errStopping) {
		return err
	}
	last.End = EndStopping
	return out.send(last)
}

// untilLifted ends a wait when the order that it waits for is ended. A drain that somebody else began has no order.
func (s *Server) untilLifted(ctx context.Context, t remediate.Target, stop context.CancelCauseFunc) {
	if _, stands := s.Book.Ledger().Orders[t]; !stands {
		return
	}
	// The journal wakes its readers before the ledger is folded, so the ledger is looked at, which costs nothing.
	tick := time.NewTicker(liftedPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, stands := s.Book.Ledger().Orders[t]; !stands {
			stop(errLifted)
			return
		}
	}
}

func has(status control.Status, t remediate.Target) bool {
	for _, row := range status.Servers {
		if row.Backend == t.Backend && row.Server == t.Server {
			return true
		}
	}
	return false
}

func waitOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("timeout")
	if text == "" {
		return defaultWait, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxWait {
		return 0, problemf(http.StatusBadRequest, BadRequest, "timeout must be a time like 5m, at most %s", maxWait)
	}
	return d, nil
}
