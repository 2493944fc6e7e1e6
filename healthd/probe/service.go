// Package probe runs the checks of this instance's services and holds what they found: probers, each with an interval of its own, report
// to the Board, which keeps the latest snapshot and the orders of people on disk and wakes whoever waits for a change.
package probe

import (
	"context"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Service is what is probed of one service.
type Service struct {
	Name    string
	Address string // where it listens, host:port; empty where it is asked by name only
	Floor   int    // percent below which slowness never lowers its weight; 25
	Checks  []Check
}

// Check is one check and how often it is made.
type Check struct {
	Name        string
	Kind        string // for display: http, tcp
	Measurement string // for health+json: responseTime
	Target      string // for display
	Impact      healthd.Impact
	Shared      bool   // siblings use the same dependency; see healthd.Sharing
	Group       string // of checks that count as one
	Need        int    // how many of the group must pass; 1, and the greatest that its checks say
	Same        string // the same where kind, target and settings are; over a reload such a check keeps its history. It is never published
	Rule        healthd.Rule
	Interval    time.Duration // between the starts of two probes; 2 s
	Timeout     time.Duration // 1 s, and never more than Interval
	// Probe makes one probe, and ends when ctx does.
	Probe func(ctx context.Context) healthd.Outcome
}

// Defaults of a check's times.
const (
	DefaultInterval = 2 * time.Second
	DefaultTimeout  = time.Second
)

func (c Check) interval() time.Duration {
	if c.Interval <= 0 {
		return DefaultInterval
	}
	return c.Interval
}

func (c Check) timeout() time.Duration {
	if c.Timeout <= 0 {
		return min(DefaultTimeout, c.interval())
	}
	return min(c.Timeout, c.interval())
}

// fresh is the snapshot of services of which nothing is known.
func fresh(instance string, services []Service) *healthd.Snapshot {
	s := &healthd.Snapshot{Instance: instance}
	for _, svc := range services {
		view := healthd.Service{Name: svc.Name, Address: svc.Address, Floor: svc.Floor}
		for _, c := range svc.Checks {
			view.Checks = append(view.Checks, healthd.Check{
				Name: c.Name, Kind: c.Kind, Measurement: c.Measurement, Target: c.Target, Impact: c.Impact, Shared: c.Shared,
				Group: c.Group, Need: c.Need,
				// Three probes in a row that could not be made are a gap worth showing.
				MaxAge: 3*c.interval() + c.timeout(),
			})
		}
		s.Services = append(s.Services, view)
	}
	return s
}
