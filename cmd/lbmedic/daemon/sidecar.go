package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/check"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// sidecar is the part beside the app: probers, the board, and those who answer from it.
type sidecar struct {
	board *probe.Board
	http  net.Listener // nil: off
	log   *zap.Logger

	mu       sync.Mutex
	settings *config.Health
	probers  *probe.Probers
	swapped  chan struct{} // closed when settings and probers were replaced
}

// byShutdown marks the orders that a stop of this process gives, and that its next start ends.
const byShutdown = "shutdown"

func newSidecar(h *config.Health, dir string, log *zap.Logger) (*sidecar, error) {
	services, err := servicesOf(h)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory of health: %w", err)
	}
	s := &sidecar{settings: h, log: log, swapped: make(chan struct{})}
	s.board, err = probe.NewBoard(probe.Settings{Services: services, Dir: dir, Problem: func(err error) { log.Warn("health state", zap.Error(err)) }})
	if err != nil {
		return nil, err
	}
	s.probers = probe.NewProbers(services, s.board)
	if h.HTTP.IsValid() {
		s.http, err = net.Listen("tcp", h.HTTP.String())
		if err != nil {
			return nil, fmt.Errorf("health.http: %w; is another lbmedic running?", err)
		}
	}
	if err := s.endOldDrain(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *sidecar) close() error {
	if s.http == nil {
		return nil
	}
	return s.http.Close()
}

// endOldDrain ends what the last stop told the balancers.
func (s *sidecar) endOldDrain() error {
	for _, service := range s.board.Latest().Services {
		if service.Admin.State != healthd.Ready && service.Admin.By == byShutdown {
			if err := s.board.Order(service.Name, healthd.Admin{State: healthd.Ready, By: byShutdown}); err != nil {
				return fmt.Errorf("end the drain of the last stop: %w", err)
			}
		}
	}
	return nil
}

// drain orders it for every service that nobody has ordered out already.
func (s *sidecar) drain() error {
	var errs []error
	for _, service := range s.board.Latest().Services {
		if service.Admin.State == healthd.Ready {
			errs = append(errs, s.board.Order(service.Name, healthd.Admin{State: healthd.Drain, By: byShutdown, Reason: "lbmedic stops"}))
		}
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
	errs := make(chan error, 4)
	run := func(name string, f func(context.Context) error) {
		parts.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				errs <- fmt.Errorf("%s: %w", name, err)
				cancel()
			}
		})
	}
	run("board", s.board.Run)
	run("probers", s.runProbers)
	if s.http != nil {
		run("http", func(ctx context.Context) error {
			return serve.NewHTTP(serve.HTTPSettings{Source: s.board}).Run(ctx, s.http)
		})
	}
	run("agent-check", s.runAgent)
	parts.Wait()
	close(errs)
	return errors.Join(<-errs)
}

// runAgent answers for the one service there is, or for the one whose name `agent-send` sends, also after a reload that
// has other services.
func (s *sidecar) runAgent(ctx context.Context) error {
	return s.eachSettings(ctx, func(ctx context.Context, h *config.Health, _ *probe.Probers) error {
		if len(h.Services) == 0 || !h.Agent.IsValid() {
			return nil
		}
		agent := serve.NewAgent(serve.AgentSettings{Source: s.board, Orders: s.board, Service: h.Services[0].Name, Send: len(h.Services) > 1,
			Problem: func(err error) { s.log.Warn("agent-check", zap.Error(err)) }})
		return agent.Run(ctx, func() (net.Listener, error) { return net.Listen("tcp", h.Agent.String()) })
	})
}

// runProbers runs the probers, and their successors after a reload.
func (s *sidecar) runProbers(ctx context.Context) error {
	return s.eachSettings(ctx, func(ctx context.Context, _ *config.Health, probers *probe.Probers) error { return probers.Run(ctx) })
}

// eachSettings runs part with the settings there are, and again with those that replace them, until ctx is done.
func (s *sidecar) eachSettings(ctx context.Context, part func(context.Context, *config.Health, *probe.Probers) error) error {
	for ctx.Err() == nil {
		s.mu.Lock()
		settings, probers, swapped := s.settings, s.probers, s.swapped
		s.mu.Unlock()
		inner, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			err := part(inner, settings, probers)
			if err == nil {
				<-inner.Done()
			}
			ended <- err
		}()
		select {
		case err := <-ended:
			cancel()
			return err
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

// replace takes the services of a new configuration. On an error the old ones stay.
func (s *sidecar) replace(h *config.Health) error {
	services, err := servicesOf(h)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.board.Replace(services)
	s.settings = h
	s.probers = probe.NewProbers(services, s.board)
	close(s.swapped)
	s.swapped = make(chan struct{})
	return nil
}

// servicesOf builds the checks; every mistake is reported.
func servicesOf(h *config.Health) ([]probe.Service, error) {
	var services []probe.Service
	var errs []error
	for _, s := range h.Services {
		service := probe.Service{Name: s.Name, Address: s.Address}
		for _, c := range s.Checks {
			built, err := Check(c)
			if err != nil {
				errs = append(errs, fmt.Errorf("health.services.%s.checks.%s: %w", s.Name, c.Name, err))
				continue
			}
			service.Checks = append(service.Checks, built)
		}
		services = append(services, service)
	}
	return services, errors.Join(errs...)
}

// Check builds one check as the configuration describes it.
func Check(c config.Check) (probe.Check, error) {
	kind, err := check.Find(c.Kind)
	if err != nil {
		return probe.Check{}, err
	}
	ask, err := check.New(c.Kind, c.Target, c.Options)
	if err != nil {
		return probe.Check{}, err
	}
	out := probe.Check{Name: c.Name, Kind: c.Kind, Measurement: kind.Measurement, Target: config.WithoutSecret(strings.Join(c.Target, " ")), Shared: c.Shared,
		Rule: healthd.Rule{Rise: c.Rise, Fall: c.Fall}, Interval: c.Interval, Timeout: c.Timeout, Probe: ask}
	if warn := c.Latency.Warn; warn > 0 {
		out.Probe = func(ctx context.Context) healthd.Outcome {
			o := ask(ctx)
			if o.Class == healthd.OK && o.Took > warn {
				return healthd.NewOutcome(o.At, o.Took, healthd.Degraded,
					fmt.Sprintf("%s after %s, warned above %s", o.Detail, o.Took.Round(time.Microsecond*100), warn))
			}
			return o
		}
	}
	switch c.Impact {
	case config.ImpactDegrade:
		out.Impact = healthd.Degrade
	case config.ImpactInform:
		out.Impact = healthd.Inform
	}
	return out, nil
}
