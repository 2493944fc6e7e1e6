package demo

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAStepThatDoesNotHappenIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := []logOf{{"app1", func() string { return strings.Repeat("noise\n", 100) + "the last word\n" }}, {"sidecar", func() string { return "" }}}
		n := 0
		err := await(t.Context(), "app1 listens", time.Second, logs, func(ctx context.Context) error {
			return poll(ctx, func() error {
				n++
				if ctx.Err() != nil {
					return ctx.Err() // what a dialer says once the time is over; it explains nothing
				}
				return errors.New("connection refused")
			})
		})
		if err == nil || err.Error() != "app1 listens: it did not happen within 1s: connection refused" {
			t.Errorf("%v", err)
		}
		if n < 10 {
			t.Errorf("it was tried %d times", n)
		}
		var step *stepError
		if !errors.As(err, &step) {
			t.Fatalf("%T", err)
		}
		var out bytes.Buffer
		if err := step.showLogs(&out); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out.String(), "\n"); got != tailLines+2 || !strings.Contains(out.String(), "the last word\n--- sidecar: has written nothing\n") {
			t.Errorf("%d lines:\n%s", got, out.String())
		}
	})
}

func TestAStopOfTheUserIsNoFailedStep(t *testing.T) {
	why := errors.New("stopped by interrupt")
	ctx, stop := context.WithCancelCause(t.Context())
	err := await(ctx, "something", time.Hour, nil, func(ctx context.Context) error {
		stop(why)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}

func TestAStepThatFailsAtOnceSaysSo(t *testing.T) {
	err := await(t.Context(), "lbmedic drain web/app2", time.Hour, nil, func(context.Context) error { return errors.New("it ended with status 2") })
	if err == nil || err.Error() != "lbmedic drain web/app2: it ended with status 2" {
		t.Errorf("%v", err)
	}
}
