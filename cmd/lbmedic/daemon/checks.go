package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/check"
	"github.com/lbmedic/lbmedic/healthd/probe"
)

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
