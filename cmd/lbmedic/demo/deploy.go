package demo

import (
	"context"
	"time"
)

// deploy gives one app a new release under load: drained, replaced, tried, ready.
func (s *story) deploy(ctx context.Context) error {
	if err := s.enter(ctx, s.tally, Deploy); err != nil {
		return err
	}
	began := s.act(ActDrain)
	s.line.tell(began, "demo", title, "%s gets a new release under load: lbmedic drain %s/%s --wait", deployed, backend, deployed)
	if err := s.lbmedic(ctx, "drain", backend+"/"+deployed, "--wait", "--timeout", drainLimit.String(), "--reason", "deploy "+newRelease); err != nil {
		return err
	}
	s.act(ActDrained)
	if err := s.rest(ctx); err != nil {
		return err
	}
	if err := s.replace(ctx); err != nil {
		return err
	}
	ready := s.act(ActReady)
	s.line.tell(ready, "demo", title, "lbmedic ready %s/%s", backend, deployed)
	if err := s.lbmedic(ctx, "ready", backend+"/"+deployed); err != nil {
		return err
	}
	err := await(ctx, "HAProxy sends requests to "+deployed+" again", returnLimit, s.logs(deployed), func(ctx context.Context) error {
		return s.observer.await(ctx, deployed, ready, func(s Sample) bool { return s.Routing })
	})
	if err != nil {
		return err
	}
	if err := dwell(ctx, phaseTime); err != nil {
		return err
	}
	c := s.tally.total()[Deploy]
	how := good
	if c.OK != c.Sent {
		how = bad
	}
	s.tell("users", how, "%d requests during the deploy, %d errors, %d lost", c.Sent, c.Errors, c.Lost)
	return nil
}

// rest takes a look of its own at HAProxy before the app is stopped: lbmedic said that it is drained.
func (s *story) rest(ctx context.Context) error {
	err := await(ctx, "HAProxy is looked at", time.Second, s.logs(), func(ctx context.Context) error {
		return s.observer.await(ctx, deployed, time.Now(), func(Sample) bool { return true })
	})
	if err != nil {
		return err
	}
	s.history.Rest, err = s.observer.sample(deployed)
	s.tell("haproxy", plain, "%s: %s, %d sessions, %d queued: it can be stopped", deployed, s.history.Rest.State, s.history.Rest.Sessions, s.history.Rest.Queued)
	return err
}

// replace stops the old release, starts the new one and waits until its sidecar has tried it.
func (s *story) replace(ctx context.Context) error {
	if err := s.apps[deployed].stop(stopGrace); err != nil {
		return &stepError{step: "stop " + deployed + " " + oldRelease, cause: err, logs: s.logs(deployed)}
	}
	stopped := time.Now()
	s.line.tell(stopped, "demo", plain, "%s %s has ended", deployed, oldRelease)
	if err := s.startApp(s.where(deployed), newRelease, bootTime); err != nil {
		return err
	}
	s.tell("demo", plain, "%s %s listens, %s after it was started", deployed, newRelease, bootTime)
	err := await(ctx, "the sidecar of "+deployed+" passes", failLimit, s.logs(deployed), func(ctx context.Context) error {
		return s.ears[deployed].passedSince(ctx, time.Now())
	})
	if err != nil {
		return err
	}
	s.line.tell(s.act(ActReplaced), "sidecar", good, "%s %s: its checks pass", deployed, newRelease)
	return nil
}
