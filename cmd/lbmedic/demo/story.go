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

// breakAndRemove: the dependency of one app fails, users meet errors, and HAProxy is told.
func (s *story) breakAndRemove(ctx context.Context) error {
	if err := s.enter(ctx, s.tally, Broken); err != nil {
		return err
	}
	broke := s.act(ActBreak)
	s.needs[broken].fail()
	s.line.tell(broke, "demo", title, "the dependency of %s fails; its port stays open, and HAProxy's own check still passes", broken)
	err := await(ctx, "the sidecar of "+broken+" says fail", failLimit, s.logs(broken), func(ctx context.Context) error {
		return s.ears[broken].await(ctx, "fail")
	})
	if err != nil {
		return err
	}
	err = await(ctx, "HAProxy stops sending requests to "+broken, removeLimit, s.logs(broken), func(ctx context.Context) error {
		return s.observer.await(ctx, broken, broke, func(s Sample) bool { return !s.Routing })
	})
	if err != nil {
		return err
	}
	if err := s.enter(ctx, s.tally, Out); err != nil {
		return err
	}
	s.tellRemoval()
	return dwell(ctx, phaseTime)
}

// tellRemoval prints the figure of the demo, and what users met meanwhile.
func (s *story) tellRemoval() {
	h := History{Steps: s.history.Steps, Seen: s.observer.sightings(), Words: s.ears[broken].heard()}
	in, text := takenOutInTime(&h)
	how := good
	if !in {
		how = bad
	}
	out, _ := h.sighting(broken, ActBreak, notRouting)
	s.line.tell(out.At, "demo", how, "%s", text)
	c := s.tally.total()[Broken]
	s.tell("users", bad, "%d of %d requests met an error during the break%s", c.Errors+c.Lost, c.Sent, c.example())
}

// healAndReturn: the dependency is back, and HAProxy returns the app by its own rise.
func (s *story) healAndReturn(ctx context.Context) error {
	healed := s.act(ActHeal)
	if err := s.needs[broken].heal(); err != nil {
		return err
	}
	s.line.tell(healed, "demo", title, "the dependency of %s heals", broken)
	err := await(ctx, "HAProxy sends requests to "+broken+" again", returnLimit, s.logs(broken), func(ctx context.Context) error {
		return s.observer.await(ctx, broken, healed, func(s Sample) bool { return s.Routing })
	})
	if err != nil {
		return err
	}
	if err := s.enter(ctx, s.tally, Returned); err != nil {
		return err
	}
	return dwell(ctx, phaseTime)
}

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
	if err := s.startApp(s.where(deployed), newRelease); err != nil {
		return err
	}
	s.tell("demo", plain, "%s %s listens", deployed, newRelease)
	err := await(ctx, "the sidecar of "+deployed+" passes", failLimit, s.logs(deployed), func(ctx context.Context) error {
		return s.ears[deployed].passedSince(ctx, time.Now())
	})
	if err != nil {
		return err
	}
	s.line.tell(s.act(ActReplaced), "sidecar", good, "%s %s: its checks pass", deployed, newRelease)
	return nil
}

func (l layout) where(name string) place {
	for _, p := range l.apps {
		if p.name == name {
			return p
		}
	}
	return place{}
}

// edit drains a server of nginx by the smallest edit of its configuration and a reload, and takes the edit back. Users
// come on new connections: nginx closes those that it kept when it reloads, whoever asks it to.
func (s *story) edit(ctx context.Context) error {
	s.nginxTally = newTally(NginxDrain)
	server := second + "/" + backend + "/" + s.where(spared).address
	return under(newLoad("http://"+s.layout.nginx+"/", nginxRate, false, s.nginxTally), func() error {
		if err := dwell(ctx, phaseTime/2); err != nil {
			return err
		}
		s.tell("demo", title, "nginx is told to leave %s alone: lbmedic drain %s --wait", spared, server)
		if err := s.lbmedic(ctx, "drain", server, "--wait", "--timeout", drainLimit.String()); err != nil {
			return err
		}
		if err := s.enter(ctx, s.nginxTally, NginxOut); err != nil {
			return err
		}
		s.tell("nginx", bad, "%s: down, by an edit of %s and a reload", spared, s.nginx.Config)
		if err := dwell(ctx, phaseTime); err != nil {
			return err
		}
		if err := s.enter(ctx, s.nginxTally, NginxReady); err != nil {
			return err
		}
		s.tell("demo", title, "lbmedic ready %s", server)
		if err := s.lbmedic(ctx, "ready", server); err != nil {
			return err
		}
		s.tell("nginx", good, "%s: in use again", spared)
		return dwell(ctx, phaseTime)
	})
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
