package demo

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
)

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
	if err := s.startApp(p, oldRelease, 0); err != nil {
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
func (s *stage) startApp(p place, release string, boot time.Duration) error {
	app, err := startProcess(p.name, s.program, "demo", "app", "--name", p.name, "--release", release, "--boot", boot.String(),
		"--listen", p.address, "--dependency", p.dependency)
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
