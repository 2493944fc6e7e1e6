package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

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
		service := probe.Service{Name: s.Name, Address: s.Address, Floor: s.MinWeight}
		for _, c := range s.Checks {
			built, err := Check(c)
			if err != nil {
				errs = append(errs, fmt.Errorf("health.services.%s.checks.%s: %w", s.Name, c.Name, err))
				continue
			}
			built.Need = s.Groups[c.Group]
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
	return probe.Check{
		Name: c.Name, Kind: c.Kind, Measurement: kind.Measurement, Target: config.WithoutSecret(c.Kind, c.Target),
		Impact: impactOf(c.Impact), Shared: c.Shared, Group: c.Group, Same: sameness(c),
		Rule: ruleOf(c), Interval: c.Interval, Timeout: c.Timeout, Probe: ask,
	}, nil
}

// sameness is equal for checks that ask the same thing in the same way, whatever is made of the answers. It tells no secret.
func sameness(c config.Check) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", c.Kind, c.Target, c.Options)) // a map is printed in the order of its keys
	return hex.EncodeToString(sum[:])
}

func ruleOf(c config.Check) healthd.Rule {
	r := healthd.Rule{Rise: c.Rise, Fall: c.Fall, HoldDown: c.HoldDown, Grace: c.Grace,
		Latency: healthd.LatencyRule{Warn: c.Latency.Warn, Fail: c.Latency.Fail, Required: c.Latency.Impact == config.ImpactRequired}}
	if c.Latency.Of != "" {
		r.Latency.Of, _ = healthd.ParseQuantile(c.Latency.Of) // one of the words that the configuration allows
	}
	if d := c.Damping; d != nil {
		r.Damping = healthd.Damping{Suppress: d.Suppress, Reuse: d.Reuse, HalfLife: d.HalfLife, MaxSuppress: d.Max}
	}
	return r
}

func impactOf(i config.Impact) healthd.Impact {
	switch i {
	case config.ImpactDegrade:
		return healthd.Degrade
	case config.ImpactInform:
		return healthd.Inform
	}
	return healthd.Required
}
