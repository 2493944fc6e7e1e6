package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
)

func TestErrorsEndTheProgramWithTheirStatus(t *testing.T) {
	stopped, stop := context.WithCancelCause(t.Context())
	stop(stoppedBy{syscall.SIGTERM})
	cases := map[string]struct {
		ctx    context.Context
		err    error
		code   int
		stderr string
	}{
		"none":              {t.Context(), nil, 0, ""},
		"any error":         {t.Context(), errors.New("open it: no"), 1, "lbmedic: open it: no\n"},
		"usage":             {t.Context(), usageError("no such %s", "thing"), 1, "lbmedic: no such thing\n"},
		"peer":              {t.Context(), fmt.Errorf("drain web/a: %w", peerError(errors.New("refused"))), 2, "lbmedic: drain web/a: refused\n"},
		"findings":          {t.Context(), exitWith(exitFindings), 3, ""},
		"joined, one line":  {t.Context(), errors.Join(errors.New("a"), errors.New("b")), 1, "lbmedic: a; b\n"},
		"joined with words": {t.Context(), errors.Join(nil, exitWith(1)), 1, ""},
		"stopped":           {stopped, fmt.Errorf("wait: %w", context.Canceled), 143, ""},
		"stopped, but also": {stopped, errors.New("disk full"), 1, "lbmedic: disk full\n"},
		"hostile":           {t.Context(), errors.New("\x1b[2Jx"), 1, "lbmedic: ·[2Jx\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			a := &app{stderr: &stderr}
			if got := a.exit(c.ctx, c.err); got != c.code || stderr.String() != c.stderr {
				t.Errorf("status %d, %q; want %d, %q", got, stderr.String(), c.code, c.stderr)
			}
		})
	}
}
