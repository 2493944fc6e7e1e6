package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/lbmedic/lbmedic/internal/child"
)

// Bounds of the steps, and how long the load goes on in each phase so that its counts say something.
const (
	failLimit   = 5 * time.Second // from the break to the sidecar's word
	removeLimit = 5 * time.Second // from that word to HAProxy; the promise is RemovalLimit
	returnLimit = 10 * time.Second
	drainLimit  = 10 * time.Second
	phaseTime   = time.Second
)

// story is what happens on the stage. Every step is over when HAProxy itself shows it.
type story struct {
	*stage
	tally      *tally
	nginxTally *tally // nil: without nginx
	history    History
}

func (s *story) act(a Act) time.Time {
	now := time.Now()
	s.history.Steps = append(s.history.Steps, Step{a, now})
	return now
}

// play plays the story under load and returns its history. What ends it early is ctx, or a step that does not happen.
func (s *story) play(ctx context.Context) (*History, error) {
	err := under(newLoad("http://"+s.front+"/", rate, true, s.tally), func() error { return s.acts(ctx) })
	s.history.Seen = s.observer.sightings()
	for _, ear := range s.ears {
		s.history.Words = append(s.history.Words, ear.heard()...)
	}
	s.history.Counts = s.tally.total()
	if s.nginxTally != nil {
		s.history.Nginx = true
		maps.Copy(s.history.Counts, s.nginxTally.total())
	}
	return &s.history, err
}

// under does something under load, and returns when every answer has come.
func under(l *load, do func() error) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	err := do()
	stop()
	return errors.Join(err, <-ended)
}

// enter begins a phase, and returns once no request of an earlier one is under way: what comes now happens to requests
// of this phase alone.
func (s *story) enter(ctx context.Context, t *tally, p Phase) error {
	t.enter(p)
	return await(ctx, "every request sent before the phase "+string(p)+" is answered", answerWithin+time.Second, s.logs(), func(ctx context.Context) error {
		return poll(ctx, func() error {
			if n := t.underWay(); n > 0 {
				return fmt.Errorf("%d are under way", n)
			}
			return nil
		})
	})
}

func (s *story) acts(ctx context.Context) error {
	s.tell("users", plain, "%d POSTs a second through HAProxy, every other one on a new connection", rate)
	if err := dwell(ctx, phaseTime); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{s.breakAndRemove, s.healAndReturn, s.deploy} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	if err := s.enter(ctx, s.tally, After); err != nil {
		return err
	}
	if s.nginx == nil {
		return dwell(ctx, phaseTime)
	}
	return s.edit(ctx)
}

func (l layout) where(name string) place {
	for _, p := range l.apps {
		if p.name == name {
			return p
		}
	}
	return place{}
}

// lbmedic runs a command of the command line, as an operator does.
func (s *stage) lbmedic(ctx context.Context, args ...string) error {
	step := "lbmedic " + args[0] + " " + args[1]
	args = append(args, "--socket", s.adminSocket())
	return await(ctx, step, drainLimit+2*time.Second, s.logs(), func(ctx context.Context) error {
		result, err := child.Command{Path: s.program, Args: args}.Run(ctx)
		if err == nil && result.Code != 0 {
			err = fmt.Errorf("it ended with status %d: %s", result.Code, result.Output)
		}
		return err
	})
}
