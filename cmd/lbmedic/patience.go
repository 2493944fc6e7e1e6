package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// hurryTime is how long a clean-up may take after the second ^C.
const hurryTime = 3 * time.Second

// patience is the signals of a command that has to clean up whatever happens. Elsewhere a second SIGINT ends the process
// at once. `timeout -s INT` sends two: one to the process and one to its group.
type patience struct {
	ctx   context.Context // until the first signal; the cause is then stoppedBy
	hurry chan struct{}   // closed by another SIGINT or SIGTERM
	late  chan struct{}   // closed hurryTime after that
	end   func()
}

// takeSignals takes over from untilSignal. A terminal or a pipe that is closed stops as ^C does.
func (a *app) takeSignals(parent context.Context) *patience {
	p := &patience{hurry: make(chan struct{}), late: make(chan struct{})}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	if parent.Err() != nil {
		cancel(context.Cause(parent))
	}
	a.letSignals()
	done := make(chan struct{})
	p.ctx, p.end = ctx, sync.OnceFunc(func() { signal.Stop(signals); close(done); cancel(nil) })
	go p.listen(signals, done, cancel)
	return p
}

func (p *patience) listen(signals <-chan os.Signal, done <-chan struct{}, cancel context.CancelCauseFunc) {
	var late <-chan time.Time
	for {
		select {
		case <-done:
			return
		case <-late:
			close(p.late)
			return
		case s := <-signals:
			again := p.ctx.Err() != nil && (s == syscall.SIGINT || s == syscall.SIGTERM)
			cancel(stoppedBy{s.(syscall.Signal)})
			if again && late == nil {
				close(p.hurry)
				late = time.After(hurryTime)
			}
		}
	}
}

// status is the exit status of what a signal ended.
func (p *patience) status() int {
	var by stoppedBy
	if errors.As(context.Cause(p.ctx), &by) {
		return 128 + int(by.signal)
	}
	return exitLocal
}
