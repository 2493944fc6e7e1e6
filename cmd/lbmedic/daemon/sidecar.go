package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/check"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
	"github.com/lbmedic/lbmedic/healthd/serve/metrics"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// sidecar is the part beside the app: probers, the board, and the ports on which it is answered from.
type sidecar struct {
	board   *probe.Board
	keeper  *probe.Keeper
	weights *probe.Weights
	views   *serve.Views
	metrics *metrics.Collector
	client  *client.Client // for siblings
	saw     func(...control.Sighting)
	ports   *ports
	log     *zap.Logger

	mu      sync.Mutex
	first   []port             // to be served when it runs
	opened  map[string]*socket // for them
	asking  asking
	swapped chan struct{} // closed when asking was replaced
}

// asking is who asks, by one configuration: the checks and the siblings.
type asking struct {
	probers  *probe.Probers
	siblings *siblings
	files    []string // of the configuration: see check.PermitExec
}

func newSidecar(h *config.Health, dir, version string, saw func(...control.Sighting), log *zap.Logger) (s *sidecar, err error) {
	services, err := servicesOf(h)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory of health: %w", err)
	}
	s = &sidecar{saw: saw, log: log, swapped: make(chan struct{})}
	s.board, err = probe.NewBoard(probe.Settings{Services: services, Dir: dir, Problem: func(err error) { log.Warn("health state", zap.Error(err)) }})
	if err != nil {
		return nil, err
	}
	s.remember(dir)
	s.views = serve.NewViews(h.Balancers)
	s.metrics = metrics.New(metrics.Settings{Source: s.board, Next: s.board, Version: version})
	s.client = client.New(client.Settings{})
	s.asking = s.newAsking(h, services)
	sockets, err := newSockets(log)
	if err != nil {
		return nil, err
	}
	s.ports = newPorts(sockets, log)
	sayWhatLeaks(h, log)
	s.first = s.portsOf(h)
	if s.opened, err = s.ports.prepare(s.first); err != nil {
		return nil, err
	}
	if err := errors.Join(s.endOldDrain(), sockets.release(s.first)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close takes back what newSidecar opened, for one that does not run after all.
func (s *sidecar) close() error {
	var errs []error
	for _, opened := range s.opened {
		errs = append(errs, opened.close())
	}
	return errors.Join(errs...)
}

// remember reads what was promised before the start. What cannot be read is told and set aside.
func (s *sidecar) remember(dir string) {
	var err error
	if s.keeper, err = probe.NewKeeper(s.board); err != nil {
		s.log.Warn("health state", zap.Error(err))
	}
	if s.weights, err = probe.NewWeights(dir); err != nil {
		s.log.Warn("health state", zap.Error(err))
	}
}

// endOldDrain ends what the last stop told the balancers.
func (s *sidecar) endOldDrain() error {
	for _, service := range s.board.Latest().Services {
		if slices.ContainsFunc(s.keeper.Leases(service.Name), func(l healthd.Lease) bool { return l.Owner == healthd.ByShutdown }) {
			if _, err := s.keeper.End(service.Name, healthd.ByShutdown, false); err != nil {
				return fmt.Errorf("end the drain of the last stop: %w", err)
			}
		}
	}
	return nil
}

// drain takes a lease on every service, so that it stays out whoever ends a lease of his own meanwhile.
func (s *sidecar) drain() error {
	var errs []error
	for _, service := range s.board.Latest().Services {
		_, err := s.keeper.Take(service.Name, healthd.Lease{Owner: healthd.ByShutdown, State: healthd.Drain, Reason: "lbmedic stops"})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// settled returns once every service has had its first round.
func (s *sidecar) settled(ctx context.Context) error {
	for {
		snap := s.board.Latest()
		if snap.Settled() {
			return nil
		}
		if _, err := s.board.Wait(ctx, snap.Generation); err != nil {
			return err
		}
	}
}

func (s *sidecar) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	errs := make(chan error, 6)
	run := func(name string, f func(context.Context) error) {
		parts.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				errs <- fmt.Errorf("%s: %w", name, err)
				cancel()
			}
		})
	}
	run("board", s.board.Run)
	run("keeper", s.keeper.Run)
	run("checks", s.runAsking)
	run("news", (&news{board: s.board, log: s.log, saw: s.saw}).run)
	s.mu.Lock()
	err := s.ports.swap(s.first, s.opened)
	s.mu.Unlock()
	if err != nil {
		errs <- err
		cancel()
	}
	run("ports", s.ports.run)
	parts.Wait()
	s.client.Close()
	close(errs)
	return errors.Join(<-errs)
}

func (s *sidecar) newAsking(h *config.Health, services []probe.Service) asking {
	probers := probe.NewProbers(services, s.metrics)
	if before := s.asking.probers; before != nil {
		probers = before.Next(services)
	}
	return asking{probers, newSiblings(h, services, s.board, s.client, s.log), h.Files}
}

// runAsking runs the checks and asks the siblings, and after a reload those of the next configuration.
func (s *sidecar) runAsking(ctx context.Context) error {
	for ctx.Err() == nil {
		s.mu.Lock()
		asking, swapped := s.asking, s.swapped
		s.mu.Unlock()
		inner, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			var beside sync.WaitGroup
			beside.Go(func() { asking.siblings.run(inner) })
			err := asking.probers.Run(check.PermitExec(inner, asking.files...))
			beside.Wait()
			ended <- err
		}()
		select {
		case <-swapped:
		case <-ctx.Done():
		}
		cancel()
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

// replacement is what a new configuration comes to, with everything done that can fail.
type replacement struct {
	health   *config.Health
	services []probe.Service
	ports    []port
	opened   map[string]*socket
}

// prepare builds what replace takes. Where it is not taken after all, discard closes what it opened.
func (s *sidecar) prepare(h *config.Health) (r replacement, err error) {
	if r.services, err = servicesOf(h); err != nil {
		return replacement{}, err
	}
	r.health, r.ports = h, s.portsOf(h)
	r.opened, err = s.ports.prepare(r.ports)
	return r, err
}

// replace has a new configuration take effect.
func (s *sidecar) replace(r replacement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.board.Replace(r.services)
	s.views.Believe(r.health.Balancers)
	s.asking = s.newAsking(r.health, r.services)
	close(s.swapped)
	s.swapped = make(chan struct{})
	return s.ports.swap(r.ports, r.opened)
}
