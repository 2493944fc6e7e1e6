package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// logOf is the output of a program, for whoever has to find out why a step did not happen.
type logOf struct {
	name string
	text func() string
}

// stepError says which step of the story did not happen.
type stepError struct {
	step  string
	limit time.Duration // 0: it failed before any limit was reached
	cause error
	logs  []logOf
}

func (e *stepError) Error() string {
	if e.limit == 0 {
		return fmt.Sprintf("%s: %v", e.step, e.cause)
	}
	return fmt.Sprintf("%s: it did not happen within %s: %v", e.step, e.limit, e.cause)
}

func (e *stepError) Unwrap() error { return e.cause }

// tailLines is how much of each log is shown.
const tailLines = 15

// showLogs prints the ends of the logs.
func (e *stepError) showLogs(w io.Writer) error {
	var b strings.Builder
	for _, l := range e.logs {
		text := strings.TrimRight(l.text(), "\n")
		if text == "" {
			fmt.Fprintf(&b, "--- %s: has written nothing\n", l.name)
			continue
		}
		lines := strings.Split(text, "\n")
		fmt.Fprintf(&b, "--- %s: its last lines\n%s\n", l.name, strings.Join(lines[max(0, len(lines)-tailLines):], "\n"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// await waits for a step of the story, bounded by limit. A stop by the user is returned as it is.
func await(ctx context.Context, step string, limit time.Duration, logs []logOf, wait func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := wait(bounded)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case bounded.Err() == nil:
		return &stepError{step: step, cause: err, logs: logs}
	}
	return &stepError{step: step, limit: limit, cause: err, logs: logs}
}

// poll asks until ready is nil or ctx is done; the error is then the last one of ready that was not about ctx itself.
func poll(ctx context.Context, ready func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}

// dwell lets the load go on for a while.
func dwell(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
