package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

// stage is everything that runs: the balancers, the apps with their dependencies and sidecars, the controller, and who
// watches them. What was started first is stopped last.
type stage struct {
	layout
	program string // lbmedic
	line    *timeline

	haproxy    *peer.HAProxy
	nginx      *peer.Nginx // nil: not installed
	controller *process
	apps       map[string]*process
	sidecars   map[string]*process
	needs      map[string]*dependency
	ears       map[string]*listener
	observer   *observer
	admin      *admin.Client

	free  atomic.Bool             // whoever watches may kill what he likes
	fail  context.CancelCauseFunc // ends the story: something died that should live
	watch context.Context         // of those who watch: ends before anything is stopped
	parts sync.WaitGroup

	programs []*process // every one that was started
	undo     []func() error
}

const (
	startLimit = 10 * time.Second
	stopGrace  = 3 * time.Second
)

// openStage makes the folder and finds the ports. close gives back what it and set took.
func openStage(ctx context.Context, program string, line *timeline) (*stage, error) {
	s := &stage{program: program, line: line, apps: map[string]*process{}, sidecars: map[string]*process{},
		needs: map[string]*dependency{}, ears: map[string]*listener{}}
	s.watch, s.fail = context.WithCancelCause(ctx)
	dir, err := peer.Dir()
	if err != nil {
		return nil, fmt.Errorf("make a folder for the demo: %w", err)
	}
	s.undo = append(s.undo, func() error { return os.RemoveAll(dir) })
	// An abstract socket goes with its process, so this tells of a demo that runs now and of no other.
	claim, err := net.Listen("unix", "@lbmedic-demo")
	if err == nil {
		s.undo = append(s.undo, claim.Close)
	}
	s.layout, err = newLayout(dir, err == nil)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.admin = admin.NewClient(s.adminSocket())
	return s, nil
}

// close stops everything in reverse order, having asked all programs of ours at once. It may be called once.
func (s *stage) close() error {
	s.fail(nil)
	s.parts.Wait()
	for _, p := range s.programs {
		p.ask()
	}
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		errs = append(errs, s.undo[i]())
	}
	return errors.Join(errs...)
}

// attend runs one of those who watch, until the end of the story.
func (s *stage) attend(run func(context.Context) error) {
	s.parts.Go(func() {
		if err := run(s.watch); err != nil {
			s.fail(err)
		}
	})
}

// guard ends the story when a program ends that was not stopped.
func (s *stage) guard(p *process) {
	s.programs = append(s.programs, p)
	s.parts.Go(func() {
		select {
		case <-s.watch.Done():
		case <-p.ended:
			switch {
			case p.stopping.Load():
			case s.free.Load():
				s.tell("demo", bad, "%s", p.alive())
			default:
				s.fail(&stepError{step: "keep " + p.name + " running", cause: p.alive(), logs: []logOf{{p.name, p.log.String}}})
			}
		}
	})
}

// logs are those of an app and its sidecar, or, without a name, of the controller and HAProxy.
func (s *stage) logs(app ...string) []logOf {
	var logs []logOf
	for _, name := range app {
		if p := s.apps[name]; p != nil {
			logs = append(logs, logOf{name, p.log.String})
		}
		if p := s.sidecars[name]; p != nil {
			logs = append(logs, logOf{p.name, p.log.String})
		}
	}
	if s.controller != nil {
		logs = append(logs, logOf{s.controller.name, s.controller.log.String})
	}
	if s.haproxy != nil {
		logs = append(logs, logOf{"HAProxy", s.haproxy.Log})
	}
	return logs
}
