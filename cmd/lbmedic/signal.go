package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// stoppedBy is the cause of a context that a signal ended.
type stoppedBy struct{ signal syscall.Signal }

func (s stoppedBy) Error() string { return "stopped by " + s.signal.String() }

// untilSignal is ctx until SIGINT or SIGTERM arrives; the cause is then stoppedBy. A second SIGINT ends the process at
// once: somebody at a keyboard means it. One that follows a SIGTERM only hurries the stop, as `run` has it.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		var before os.Signal
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGINT && before == syscall.SIGINT {
					os.Exit(128 + int(syscall.SIGINT))
				}
				before = s
				cancel(stoppedBy{s.(syscall.Signal)})
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(context.Canceled)
	}
}
