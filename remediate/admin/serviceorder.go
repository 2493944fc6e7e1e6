package admin

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// service finds a local health service.
func (s *Server) service(name string) (*healthd.Service, error) {
	if s.Board == nil {
		return nil, problemf(http.StatusNotFound, UnknownService, "this lbmedic has no local health services; a server is named [BALANCER/]BACKEND/SERVER")
	}
	svc, ok := s.Board.Latest().Service(name)
	if !ok {
		return nil, problemf(http.StatusNotFound, UnknownService, "there is no local health service %s; a server is named [BALANCER/]BACKEND/SERVER", name)
	}
	return svc, nil
}

// orderService orders what this host's own health answers say. Each operator's order is a lease of its own: whoever says ready ends what they
// ordered, and what others did with force only.
func (s *Server) orderService(o Order, service, by string) (any, error) {
	if _, err := s.service(service); err != nil {
		return nil, err
	}
	state, err := healthd.ParseAdminState(string(o.Want))
	if err != nil {
		return nil, err
	}
	others := s.others(service, by)
	if state == healthd.Ready && !o.Force && len(others) > 0 && !s.has(service, by) {
		return nil, problemf(http.StatusConflict, OtherOperator, "%s is in %s, and %s ordered nothing; ask them, or --force it", service, standing(others), by)
	}
	if o.Check {
		return Done{Did: "nothing; " + service + " is there", Target: service, By: by}, nil
	}
	done := Done{Target: service, By: by}
	if s.Book != nil {
		done.After = s.Book.Last()
	}
	stands, err := s.lease(o, service, state, by)
	if err != nil {
		return nil, problemf(http.StatusServiceUnavailable, NoJournal, "%s", oneLine(err))
	}
	done.Did, done.Until = fmt.Sprintf("%s %s", o.Want, service), stands.Until
	if state == healthd.Ready && stands.State != healthd.Ready {
		done.Did = fmt.Sprintf("your order for %s is over, and it stays in %s; --force ends that too", service, standing(others))
	}
	if s.Book != nil {
		s.Book.Saw(control.Sighting{Target: service, What: string(o.Want), Detail: "by " + by + reasonSuffix(o.Reason)})
	}
	return done, nil
}

// lease takes or ends a lease, and gives what then stands.
func (s *Server) lease(o Order, service string, state healthd.AdminState, by string) (healthd.Admin, error) {
	if s.Leases == nil {
		order := healthd.Admin{State: state, Reason: o.Reason, By: by}
		if o.For > 0 && state != healthd.Ready {
			return order, fmt.Errorf("set %s to %s: this lbmedic keeps no leases, so an order has no end of its own", service, state)
		}
		return order, s.Board.Order(service, order)
	}
	if state == healthd.Ready {
		return s.Leases.End(service, by, o.Force)
	}
	lease := healthd.Lease{Owner: by, State: state, Reason: o.Reason}
	if o.For > 0 {
		lease.Until = time.Now().Add(time.Duration(o.For))
	}
	return s.Leases.Take(service, lease)
}

func (s *Server) has(service, by string) bool {
	return len(s.leasesOf(service)) > len(s.others(service, by))
}

func (s *Server) others(service, by string) healthd.Leases { return s.leasesOf(service).Without(by) }

func (s *Server) leasesOf(service string) healthd.Leases {
	if s.Leases == nil {
		return nil
	}
	return s.Leases.Leases(service)
}

// standing says who keeps a service out, and until when.
func standing(leases healthd.Leases) string {
	var words []string
	for _, l := range leases {
		until := ""
		if !l.Until.IsZero() {
			until = " until " + Clock(l.Until)
		}
		words = append(words, fmt.Sprintf("%s by %s since %s%s%s", l.State, l.Owner, Clock(l.Since), until, reasonSuffix(l.Reason)))
	}
	return strings.Join(words, ", ")
}
