package serve

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Weights remembers which balancers heard less than the whole weight; a *probe.Weights does.
type Weights interface {
	// Weigh says that less than the whole weight is about to be heard, or asks whether `100%` is owed.
	Weigh(service string, balancer netip.Addr, row string, less bool) (owed bool, err error)
	// Weighed notes that `100%` was taken.
	Weighed(service string, balancer netip.Addr, row string) error
	// Offer has it be owed `100%` even if nobody knows that it heard less, and reports whether that is why it is owed.
	Offer(service string, balancer netip.Addr, row string) (offered bool)
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
	case s.health == "":
		words = append(words, weight)
	case strings.HasPrefix(s.health, "down"): // its reason reaches to the end of the line
		words = append(words, weight, s.health)
	default:
		words = append(words, s.health, weight)
	}
	return strings.Join(words, " ") + "\n"
}

// silent reports whether nothing is to be said.
func (s said) silent() bool { return s.health == "" && s.order == healthd.Ready && s.percent < 0 }

// line is what a caller is to hear: the admin word where there is one, else health and weight; nothing where nothing is known. An order is said
// whatever the health is.
func (a *Agent) line(who asker, now time.Time) (said, error) {
	about := (*a.lines.latest())[who.service]
	s := said{health: about.health, percent: -1}
	if about.service == nil {
		return s, nil
	}
	ordered := about.service.Admin.State != healthd.Ready
	if !ordered && about.health == "" {
		return s, nil
	}
	if ordered && !a.owes(who.balancer) { // and not "up" either
		return said{percent: -1}, fmt.Errorf("%s asks for %s, which is ordered out, and is none of health.balancers: it gets no answer and keeps its last word", who.balancer, who.service)
	}
	byWeight := a.settings.Drain == DrainByWeight && a.settings.Weights != nil
	offers := about.service.Admin.Offers(now) && a.owes(who.balancer)
	if !byWeight || about.service.Admin.State != healthd.Drain {
		if offers && !byWeight {
			a.settings.Orders.Offer(who.service, who.balancer, who.row)
		}
		word, ok, err := a.settings.Orders.Say(who.service, who.balancer, who.row)
		if err != nil {
			return said{percent: -1}, err
		}
		if ordered && !ok { // it changes just now
			return said{percent: -1}, nil
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
	offered := offers && a.settings.Weights.Offer(who.service, who.balancer, who.row)
	return a.weigh(s, about.service, who, offered, now)
}

// owes reports whether what a caller hears may be owed to it, and so be said at all.
func (a *Agent) owes(peer netip.Addr) bool {
	return a.settings.Balancers == nil || peer.IsLoopback() ||
		slices.ContainsFunc(a.settings.Balancers, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// weigh adds the weight, where there is one to say.
func (a *Agent) weigh(s said, about *healthd.Service, who asker, offered bool, now time.Time) (said, error) {
	percent := 100
	switch {
	case a.settings.Drain == DrainByWeight && about.Admin.State == healthd.Drain:
		percent = 0
	case about.Weight > 0 && about.Weight < 100:
		percent = max(about.Weight, leastPercent)
	}
	owed, err := false, error(nil)
	if percent > 0 {
		if owed, err = a.settings.Weights.Weigh(about.Name, who.balancer, who.row, false); err != nil {
			return said{percent: -1}, err
		}
		if (s.ready || owed) && !offered { // who heard of no drain is not slowed down
			percent = min(percent, slowStep(about.Admin, a.settings.SlowStart, now))
		}
		if percent < 100 && !(a.owes(who.balancer) && a.settings.Views.steps(who, now)) {
			percent = 100
		}
	}
	if percent < 100 {
		if _, err := a.settings.Weights.Weigh(about.Name, who.balancer, who.row, true); err != nil {
			return said{percent: -1}, err
		}
		s.percent = percent
	} else if owed {
		s.percent, s.whole = 100, true
	} else if about.Admin.State == healthd.Ready && about.Status != healthd.Fail {
		a.tellLost(who, now)
	}
	a.settings.Views.tell(who.balancer, about.Name, percent)
	return s, nil
}

// tellLost reports once for each that a balancer has a weight of 0 that we know nothing of.
func (a *Agent) tellLost(who asker, now time.Time) {
	if row := a.settings.Views.lost(who, now); row != "" {
		a.tellOnce(" "+who.service+" "+row, fmt.Errorf("%s gives %s the weight 0 though the service is well, and no drain of ours is remembered: if nobody there wants that, the state directory was lost while drained; `lbmedic ready %s` gives the whole weight back",
			who.balancer, row, who.service))
	}
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
func (a *Agent) heard(who asker, s said) error {
	if s.ready {
		if err := a.settings.Orders.Heard(who.service, who.balancer, who.row); err != nil {
			return err
		}
	}
	if s.whole {
		return a.settings.Weights.Weighed(who.service, who.balancer, who.row)
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
