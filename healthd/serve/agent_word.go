package serve

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Weights remembers which balancers heard less than the whole weight; a *probe.Weights does.
type Weights interface {
	// Weigh says that less than the whole weight is about to be heard, or asks whether `100%` is owed.
	Weigh(service string, balancer netip.Addr, less bool) (owed bool, err error)
	// Weighed notes that `100%` was taken.
	Weighed(service string, balancer netip.Addr) error
}

// DrainWord is how a balancer is told over the agent-check to give a service nothing new.
type DrainWord string

// The words, measured on HAProxy 2.2.9, 2.6.12, 3.0.11 and 3.2.26 alike. Either stops new sessions under every algorithm, leaves
// users of a cookie or a stick rule on the server, and is forgotten by a reload until the next check of the agent.
const (
	// DrainByState is an admin state: it shows as DRAIN, is logged, and servers that `track` the server follow. But each answer "drain" ends a maint that an operator set
	// meanwhile, and the "ready" that undoes it ends an operator's drain or maint.
	DrainByState DrainWord = "drain"
	// DrainByWeight is weight 0: an operator's drain and maint stand whatever we say, but it shows as UP with weight 0, servers that `track`
	// the server do not follow, and the "100%" that undoes it replaces a weight that an operator set.
	DrainByWeight DrainWord = "0%"
)

// leastPercent is the least weight of a service that is not drained: of an initial weight that allows steps it is 1 at least.
const leastPercent = 100 / leastSteps

// spoken is a service as the agent speaks of it.
type spoken struct {
	service *healthd.Service
	health  string // the health word, with its reason; empty while nothing is known
}

// said is one answer. HAProxy takes the words of health (up, down), admin state (ready, drain, maint) and weight (N%) each for itself; what is
// not said stays as it is. Text after # belongs to a health word and needs a space before it, or HAProxy (2.2 to 3.2) passes over the line.
// A weight is taken in drain and maint too, and slowstart goes on under it: at 20 % of slowstart, `50%` of 100 is 13. Where the algorithm
// is static or a hash by map, any percentage but 0 and 100 is passed over without harm.
type said struct {
	health  string
	ready   bool // ends our own drain or maint
	order   healthd.AdminState
	percent int  // of the weight; -1: none is said
	whole   bool // gives a weight back that we lowered
}

// String is the line.
func (s said) String() string {
	if s.order != healthd.Ready {
		return s.order.String() + "\n"
	}
	if !s.ready && s.percent < 0 && s.health == "up" {
		return "up\n"
	}
	words := make([]string, 0, 3)
	if s.ready {
		words = append(words, "ready")
	}
	weight := strconv.Itoa(s.percent) + "%"
	switch {
	case s.percent < 0:
		words = append(words, s.health)
	case strings.HasPrefix(s.health, "down"): // its reason reaches to the end of the line
		words = append(words, weight, s.health)
	default:
		words = append(words, s.health, weight)
	}
	return strings.Join(words, " ") + "\n"
}

// line is what a caller is to hear: the admin word where there is one, else health and weight; no health for nothing.
func (a *Agent) line(service, row string, peer netip.Addr, now time.Time) (said, error) {
	about := (*a.lines.latest())[service]
	s := said{health: about.health, percent: -1}
	if about.health == "" {
		return s, nil
	}
	byWeight := a.settings.Drain == DrainByWeight && a.settings.Weights != nil && about.service.Admin.State == healthd.Drain
	if !byWeight {
		word, ok, err := a.settings.Orders.Say(service, peer)
		if err != nil {
			return said{}, err
		}
		s.ready = ok && word == healthd.Ready
		if ok && !s.ready {
			s.order = word
			return s, nil
		}
	}
	if a.settings.Weights == nil {
		return s, nil
	}
	return a.weigh(s, about.service, byWeight, row, peer, now)
}

// weigh adds the weight, where there is one to say.
func (a *Agent) weigh(s said, about *healthd.Service, drained bool, row string, peer netip.Addr, now time.Time) (said, error) {
	percent := 100
	switch {
	case drained:
		percent = 0
	case about.Weight > 0 && about.Weight < 100:
		percent = max(about.Weight, leastPercent)
	}
	owed, err := false, error(nil)
	if percent > 0 {
		if owed, err = a.settings.Weights.Weigh(about.Name, peer, false); err != nil {
			return said{}, err
		}
		if s.ready || owed { // who heard of no drain is not slowed down
			percent = min(percent, slowStep(about.Admin, a.settings.SlowStart, now))
		}
		if percent < 100 && !a.settings.Views.steps(asker{peer, about.Name, row, !a.settings.Send}, now) {
			percent = 100
		}
	}
	if percent < 100 {
		if _, err := a.settings.Weights.Weigh(about.Name, peer, true); err != nil {
			return said{}, err
		}
		s.percent = percent
	} else if owed {
		s.percent, s.whole = 100, true
	}
	a.settings.Views.tell(peer, about.Name, percent)
	return s, nil
}

// slowStep is the share of the weight that a service may have that long after it was ordered back: 25, 50 and 75 percent for a third of
// the time each.
func slowStep(a healthd.Admin, over time.Duration, now time.Time) int {
	age := now.Sub(a.Since)
	if a.State != healthd.Ready || a.Since.IsZero() || age < 0 || age >= over {
		return 100
	}
	return 25 * (1 + int(3*age/over))
}

// heard notes what the caller took.
func (a *Agent) heard(service string, peer netip.Addr, s said) error {
	if s.ready {
		if err := a.settings.Orders.Heard(service, peer); err != nil {
			return err
		}
	}
	if s.whole {
		return a.settings.Weights.Weighed(service, peer)
	}
	return nil
}

// healthLines are the health words of all services that are known.
func healthLines(s *healthd.Snapshot) *map[string]spoken {
	lines := make(map[string]spoken, len(s.Services))
	for i := range s.Services {
		svc := &s.Services[i]
		word := ""
		switch svc.Status {
		case healthd.Pass, healthd.Warn:
			word = "up"
		case healthd.Fail:
			word = "down #" + healthd.Line(blame(svc), maxReason)
		}
		lines[svc.Name] = spoken{svc, word}
	}
	return &lines
}

func blame(svc *healthd.Service) string {
	if c := svc.Blame(); c != nil {
		return c.Name + ": " + c.Verdict.Last.Detail
	}
	return "not measured since it failed"
}
