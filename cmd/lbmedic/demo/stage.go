package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
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

// set starts everything, and returns once all of it answers.
func (s *stage) set(haproxy, nginx peer.Program) error {
	for _, p := range s.layout.apps {
		if err := s.setApp(p); err != nil {
			return err
		}
	}
	if err := s.setHAProxy(haproxy); err != nil {
		return err
	}
	if err := s.setNginx(nginx); err != nil {
		return err
	}
	return s.setController()
}

func (s *stage) setApp(p place) error {
	d := &dependency{address: p.dependency}
	if err := d.heal(); err != nil {
		return err
	}
	s.needs[p.name] = d
	s.undo = append(s.undo, func() error { d.fail(); return nil })
	if err := s.startApp(p, oldRelease); err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { return s.apps[p.name].stop(stopGrace) })
	sidecar, err := s.daemon("sidecar of "+p.name, p.name+".yaml", s.sidecarConfig(p))
	if err != nil {
		return err
	}
	s.sidecars[p.name] = sidecar
	ear := newListener(p.name, p.health(), s.tellWord)
	s.ears[p.name] = ear
	s.attend(ear.Run)
	return await(s.watch, "the sidecar of "+p.name+" passes", startLimit, s.logs(p.name), func(ctx context.Context) error {
		return ear.await(ctx, "pass")
	})
}

// startApp starts a release of an app and waits for its port.
func (s *stage) startApp(p place, release string) error {
	app, err := startProcess(p.name, s.program, "demo", "app", "--name", p.name, "--release", release, "--listen", p.address, "--dependency", p.dependency)
	if err != nil {
		return err
	}
	s.apps[p.name] = app
	s.guard(app)
	return await(s.watch, p.name+" "+release+" listens on "+p.address, startLimit, s.logs(p.name), func(ctx context.Context) error {
		return reach(ctx, app, "tcp", p.address)
	})
}

// daemon starts `lbmedic run` on a configuration.
func (s *stage) daemon(name, file, text string) (*process, error) {
	path := filepath.Join(s.dir, file)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("write the configuration of the %s: %w", name, err)
	}
	p, err := startProcess(name, s.program, "run", "--config", path)
	if err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() error { return p.stop(stopGrace) })
	s.guard(p)
	return p, nil
}

func (s *stage) setHAProxy(prog peer.Program) error {
	h, err := peer.StartHAProxy(prog, s.dir, s.haproxyConfig())
	if h != nil && h.Process != nil {
		s.undo = append(s.undo, func() error { h.Stop(); return nil })
	}
	if err != nil {
		return err
	}
	s.haproxy = h
	s.observer = newObserver(h.Socket, backend, s.tellSighting)
	s.attend(s.observer.Run)
	return await(s.watch, "HAProxy sends requests to all three apps", startLimit, s.logs(), func(ctx context.Context) error {
		for _, name := range appNames {
			if err := s.observer.await(ctx, name, time.Time{}, func(s Sample) bool { return s.Routing && s.State == "UP" }); err != nil {
				return fmt.Errorf("not to %s: %w", name, err)
			}
		}
		return nil
	})
}

func (s *stage) setNginx(prog peer.Program) error {
	if prog.Path == "" {
		return nil
	}
	dir := filepath.Join(s.dir, "nginx")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make a folder for nginx: %w", err)
	}
	n, err := peer.StartNginx(prog, dir, s.nginxConfig(dir), s.layout.nginx)
	if n != nil && n.Process != nil {
		s.undo = append(s.undo, func() error { n.Stop(); return nil })
	}
	s.nginx = n
	return err
}

// setController returns once the controller has heard from every sidecar.
func (s *stage) setController() (err error) {
	s.controller, err = s.daemon("controller", "edge.yaml", s.controllerConfig(s.haproxy, s.nginx))
	if err != nil {
		return err
	}
	return await(s.watch, "the controller hears from every sidecar", startLimit, s.logs(), func(ctx context.Context) error {
		return poll(ctx, func() error { return s.hears(ctx) })
	})
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

// reach waits until a program of ours accepts connections.
func reach(ctx context.Context, p *process, network, address string) error {
	return poll(ctx, func() error {
		if err := p.alive(); err != nil {
			return err
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
