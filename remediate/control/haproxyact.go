package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
	"github.com/lbmedic/lbmedic/remediate"
)

// settleTime bounds the wait for a health check that was under way when a server was forced down.
const settleTime = 3 * time.Second

// Act sends one step's commands in one batch to the worker that was observed, and reads back what it left.
func (h *HAProxy) Act(ctx context.Context, g remediate.Generation, a remediate.Action) (remediate.Result, string) {
	h.mu.Lock()
	expect := h.gen
	h.mu.Unlock()
	if expect.PID != g.PID {
		return remediate.Missed, fmt.Sprintf("worker %d was decided about, and worker %d is there now", g.PID, expect.PID)
	}
	commands, err := commandsOf(a)
	if err != nil {
		return remediate.Refused, err.Error()
	}
	apply := h.Client.Apply
	if a.Verb == remediate.ForceDown {
		// A check that is under way may still put the server up again, and then no other follows: that is waited for.
		apply = h.Client.Settle
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, settleTime)
		defer stop()
	}
	report, err := apply(ctx, expect, commands...)
	switch {
	case err == nil && report.All(runtime.Done):
		return remediate.Done, ""
	case !report.Sent:
		return remediate.Missed, text(err)
	}
	for _, r := range report.Results {
		if r.Outcome != runtime.Refused {
			// Some of the batch may have been carried out: only reading the state back can tell.
			return remediate.Unknown, text(errors.Join(err, report.Failed()))
		}
	}
	return remediate.Refused, text(errors.Join(err, report.Failed()))
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// commandsOf is the batch for an action: the closed set of what is ever sent.
func commandsOf(a remediate.Action) ([]runtime.Command, error) {
	b, s := a.Target.Backend, a.Target.Server
	switch a.Verb {
	case remediate.ForceDown:
		return runtime.Force(b, s), nil
	case remediate.EnableHealth:
		return []runtime.Command{runtime.EnableChecks(b, s)}, nil
	case remediate.ZeroWeight:
		return []runtime.Command{runtime.SetWeight(b, s, runtime.Absolute(0))}, nil
	case remediate.RestoreWeight:
		return []runtime.Command{runtime.SetWeight(b, s, runtime.Absolute(a.Weight))}, nil
	case remediate.Drain:
		return []runtime.Command{runtime.SetState(b, s, runtime.Drain)}, nil
	case remediate.Maint:
		return []runtime.Command{runtime.SetState(b, s, runtime.Maint)}, nil
	case remediate.Ready:
		return []runtime.Command{runtime.SetState(b, s, runtime.Ready)}, nil
	}
	return nil, fmt.Errorf("%s: HAProxy has no such step", a.Verb)
}
