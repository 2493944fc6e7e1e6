package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Truth is what a read-back found about a command.
type Truth uint8

// The truths.
const (
	CannotTell Truth = iota // nothing that can be read shows it, or a later command of the batch covers it
	Holds
	HoldsNot
	HoldsForNow // a forced health holds, but a health check is under way that may override it: see Settle
)

var truthNames = [...]string{"cannot tell", "holds", "does not hold", "holds for now"}

func (t Truth) String() string { return truthNames[t] }

// Apply is Do followed by a read-back from the live worker: Done then means that HAProxy shows the wanted state. An outcome
// that was Unknown and is found to hold becomes Done. One that does not hold stays Unknown: a stopped worker
// carries a command out when it goes on, so it has to be resolved again. Each of the two batches has its own timeout.
//
// The error is nil where each outcome is Done or Refused.
func (c *Client) Apply(ctx context.Context, expect Generation, commands ...Command) (Report, error) {
	report, err := c.Do(ctx, expect, commands...)
	if !report.Sent {
		return report, err
	}
	truths, _, readErr := c.Resolve(ctx, commands...)
	if readErr != nil {
		for i := range report.Results {
			if r := &report.Results[i]; r.Outcome == Done {
				r.Outcome, r.Err = Unknown, readErr
			}
		}
		return report, errors.Join(err, readErr)
	}
	for i := range report.Results {
		report.Results[i].settle(truths[i])
	}
	return report, report.open()
}

// open is why the first command whose outcome is not known is not known.
func (r Report) open() error {
	for _, result := range r.Results {
		if result.Outcome == Unknown {
			return result.Err
		}
	}
	return nil
}

func (r *Result) settle(truth Truth) {
	r.Holds = truth
	switch {
	case r.Outcome == Unknown && (truth == Holds || truth == HoldsForNow):
		r.Outcome, r.Err = Done, nil
	case r.Outcome == Done && truth == HoldsNot:
		r.Outcome, r.Err = Unknown, fmt.Errorf("%s: HAProxy took it, but its state does not show it", r.Command)
	case r.Outcome == Unknown && r.Err == nil:
		r.Err = fmt.Errorf("%s: %s", r.Command, truth)
	}
}

// Resolve reads from the live worker whether what each command wants holds now. An error that matches ErrStopping means
// that an old worker answered: ask again.
func (c *Client) Resolve(ctx context.Context, commands ...Command) ([]Truth, Info, error) {
	truths := make([]Truth, len(commands))
	var backends []string
	var queries []Query
	for i, command := range commands {
		if !tellable(commands, i) {
			continue
		}
		truths[i] = HoldsNot // until its server's row shows that it does
		if slices.Contains(backends, command.Backend) {
			continue
		}
		backends = append(backends, command.Backend)
		queries = append(queries, ServerStates(command.Backend, func(s *ServerState) error {
			for i, command := range commands {
				if truths[i] != CannotTell && command.Backend == s.Backend && command.Server == s.Server && command.HoldsIn(s) {
					truths[i] = Holds
					if command.Verb == SetServerHealth && s.Check.Has(CheckRunning) {
						truths[i] = HoldsForNow
					}
				}
			}
			return nil
		}))
	}
	info, err := c.Read(ctx, queries...)
	if err == nil && info.Stopping {
		err = newFault(ErrStopping, nil, "read back from %s: the worker with pid %d is stopping; ask again", c.settings.Address, info.PID)
	}
	if err != nil {
		return nil, info, err
	}
	return truths, info, nil
}

// tellable reports whether a read-back can show command i: its effect is a state, and no later command of the batch
// sets the same property of the same server.
func tellable(commands []Command, i int) bool {
	command := commands[i]
	if command.property() == 0 {
		return false
	}
	for _, later := range commands[i+1:] {
		if later.Backend == command.Backend && later.Server == command.Server && later.property() == command.property() {
			return false
		}
	}
	return true
}

// property is the verb that stands for what a command sets; 0 where it sets no state.
func (c Command) property() Verb {
	switch c.Verb {
	case SetServerState, SetServerWeight, SetServerHealth, DisableHealth:
		return c.Verb
	case EnableHealth:
		return DisableHealth
	}
	return 0
}

// HoldsIn reports whether the server's state is what the command wants. It is false for a command that sets no state.
func (c Command) HoldsIn(s *ServerState) bool {
	switch c.Verb {
	case SetServerState:
		switch c.State {
		case Ready:
			return !s.Admin.Has(ForcedMaint | ForcedDrain)
		case Drain:
			return s.Admin.Has(ForcedDrain) && !s.Admin.Has(ForcedMaint)
		case Maint:
			return s.Admin.Has(ForcedMaint)
		}
	case SetServerWeight:
		return s.Weight == c.Weight.Of(s.InitialWeight)
	case SetServerHealth:
		switch c.Health {
		case Up:
			return s.Op == OpRunning || s.Op == OpStarting
		case Stopping:
			return s.Op == OpStopping
		case Down:
			return s.Op == OpStopped
		}
	case EnableHealth, DisableHealth:
		return s.Check.Has(CheckEnabled) == (c.Verb == EnableHealth)
	}
	return false
}
