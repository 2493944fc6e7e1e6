package runtime

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// settleEvery is how often Settle looks again.
const settleEvery = 20 * time.Millisecond

// Settle is Apply for forced health that has to last. A health check that was under way when checks were disabled
// still counts when it ends: where it passes, it puts the server UP again whatever its `rise`, and no further check
// follows (seen in each of 31 trials on 2.2.9, 2.6.12, 3.0.11 and 3.2.26). Settle waits until no check is under way and sends the
// commands that no longer hold once more. It takes at most as long as that check (`timeout check`, or `inter`), and ends with ctx.
func (c *Client) Settle(ctx context.Context, expect Generation, commands ...Command) (Report, error) {
	report, err := c.Apply(ctx, expect, commands...)
	if !report.Sent {
		return report, err
	}
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for resent := 0; ; {
		if i := report.overridden(); i >= 0 && resent < mostResent {
			resent++
			again, againErr := c.Apply(ctx, report.Before.Generation(), report.Results[i].Command)
			if !again.Sent {
				return report, againErr
			}
			report.Results[i] = again.Results[0]
			continue
		}
		if !report.unsettled() {
			return report, report.open()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return report, unfinished(ctx, commands)
		}
		truths, _, err := c.Resolve(ctx, commands...)
		switch {
		case ctx.Err() != nil: // whatever the look itself met
			return report, unfinished(ctx, commands)
		case err != nil:
			return report, err
		}
		for i := range report.Results {
			report.Results[i].settle(truths[i])
		}
	}
}

func unfinished(ctx context.Context, commands []Command) error {
	return fmt.Errorf("settle %s: a health check is still under way: %w", describe(commands), context.Cause(ctx))
}

// mostResent bounds how often one Settle sends commands again: a server in maintenance stays down whatever is sent.
const mostResent = 3

// overridden is the first forced health that HAProxy took and does not show, or -1.
func (r Report) overridden() int {
	return slices.IndexFunc(r.Results, func(result Result) bool {
		return result.Command.Verb == SetServerHealth && result.Outcome != Refused && result.Holds == HoldsNot
	})
}

func (r Report) unsettled() bool {
	return slices.ContainsFunc(r.Results, func(result Result) bool { return result.Holds == HoldsForNow })
}
