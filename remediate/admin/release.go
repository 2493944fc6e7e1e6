package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/lbmedic/lbmedic/remediate"
)

// Release is the body of POST /v1/release: whose takes by automation are undone.
type Release struct {
	All     bool     `json:"all,omitempty"`
	Targets []string `json:"targets,omitempty"` // names of balancers, or of servers
}

// Released is the answer: what was put back, also where something went wrong on the way.
type Released struct {
	Done
	Released []remediate.Target `json:"released"`
	Problems []string           `json:"problems,omitempty"` // of the balancers that could not be released in full
}

// maxTargets bounds the names in one release.
const maxTargets = 1000

func (s *Server) release(r *http.Request) (any, error) {
	var body Release
	if err := read(r, &body); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actTime)
	defer cancel()
	return s.Release(ctx, body, operator(r))
}

// Release undoes takes of automation, for an operator. It needs Controllers and Book and no running server, so that own
// takes can be undone without the daemon. An error means that nothing was released.
func (s *Server) Release(ctx context.Context, what Release, by string) (out Released, err error) {
	if what.All == (len(what.Targets) > 0) || len(what.Targets) > maxTargets {
		return out, problemf(http.StatusBadRequest, BadRequest, "release takes either all, or from 1 to %d names of balancers or servers", maxTargets)
	}
	if s.Book == nil {
		return out, problemf(http.StatusServiceUnavailable, NoJournal, "this lbmedic keeps no journal")
	}
	balancers, servers, err := s.toRelease(what)
	if err != nil {
		return out, err
	}
	out = Released{Done: Done{By: by, After: s.Book.Last()}, Released: []remediate.Target{}}
	var failed error
	if what.All {
		balancers, failed = s.withTakes()
	}
	for _, name := range balancers {
		released, err := s.controllers()[name].Release(ctx, by, nil)
		out.Released = append(out.Released, released...)
		failed = errors.Join(failed, err)
	}
	for _, t := range servers {
		if err := s.releaseServer(ctx, t, by); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		out.Released = append(out.Released, t)
	}
	if failed != nil && len(out.Released) == 0 {
		return out, failed
	}
	if failed != nil {
		out.Problems = append(out.Problems, oneLine(failed))
	}
	out.Did = releasedText(len(out.Released))
	if len(out.Released) == 0 {
		out.Did = "automation has nothing out"
	}
	return out, nil
}

func releasedText(n int) string {
	if n == 1 {
		return "1 released; automation leaves it alone until its sidecar has passed once"
	}
	return fmt.Sprintf("%d released; automation leaves them alone until their sidecars have passed once", n)
}

// toRelease finds what is named. A server must be one that automation has out and on which no order stands: releasing
// it must undo own work and nothing else (S3).
func (s *Server) toRelease(body Release) (balancers []string, servers []remediate.Target, err error) {
	controllers := s.controllers()
	ledger := s.Book.Ledger()
	for _, name := range body.Targets {
		t, err := ParseTarget(name)
		if err != nil {
			return nil, nil, problemf(http.StatusBadRequest, BadName, "%s", oneLine(err))
		}
		if t.Service != "" {
			if controllers[t.Service] == nil {
				return nil, nil, problemf(http.StatusNotFound, UnknownBalancer, "there is no balancer %s; there %s", t.Service, known(controllers))
			}
			balancers = append(balancers, t.Service)
			continue
		}
		target, err := s.taken(ledger, t)
		if err != nil {
			return nil, nil, err
		}
		if order, stands := ledger.Orders[target]; stands {
			return nil, nil, problemf(http.StatusConflict, NotOurs, "%s stands in %s by %s; `lbmedic ready %s` ends that", target, order.Want, order.By, target)
		}
		servers = append(servers, target)
	}
	return balancers, servers, nil
}

// withTakes are the balancers on which automation has something out. One that the configuration no longer names cannot be
// released, and must not be passed over in silence.
func (s *Server) withTakes() (balancers []string, lost error) {
	controllers, seen := s.controllers(), map[string]bool{}
	for t := range s.Book.Ledger().Takes {
		if controllers[t.Balancer] == nil {
			lost = errors.Join(lost, fmt.Errorf("%s cannot be released: the configuration no longer names the balancer", t))
			continue
		}
		seen[t.Balancer] = true
	}
	return slices.Sorted(maps.Keys(seen)), lost
}

// taken finds the one open take that a name means.
func (s *Server) taken(ledger *remediate.Ledger, name Target) (remediate.Target, error) {
	var found []string
	target := name.Target
	for t := range ledger.Takes {
		if t.Backend == name.Backend && t.Server == name.Server && (name.Balancer == "" || name.Balancer == t.Balancer) {
			found = append(found, t.String())
			target = t
		}
	}
	slices.Sort(found)
	switch {
	case len(found) == 0 && s.unknown(name) != nil:
		return target, s.unknown(name)
	case len(found) == 0:
		return target, problemf(http.StatusConflict, NotOurs, "automation does not have %s out; `lbmedic ready %s` puts it in service whoever took it out", name, name)
	case len(found) > 1:
		return target, problemf(http.StatusConflict, AmbiguousName, "%s is out in more than one balancer; name one of %s", name, strings.Join(found, ", "))
	case s.controllers()[target.Balancer] == nil:
		return target, problemf(http.StatusNotFound, UnknownBalancer, "there is no balancer %s any more; there %s", target.Balancer, known(s.controllers()))
	}
	return target, nil
}

// unknown is what an order for a name would be answered that means no server. While a balancer cannot be read, as without
// the daemon, that is not known.
func (s *Server) unknown(name Target) error {
	for _, c := range s.controllers() {
		if status := c.Status(); status.Error != "" || status.Read.IsZero() {
			return nil
		}
	}
	t, err := s.resolve(name)
	var p *Problem
	switch {
	case errors.As(err, &p) && p.Reason == AmbiguousName:
		return nil // there is more than one such server, and none of them is out
	case err != nil:
		return err
	}
	return s.mustHave(t)
}

func (s *Server) releaseServer(ctx context.Context, t remediate.Target, by string) error {
	_, err := s.controllers()[t.Balancer].Release(ctx, by, func(other remediate.Target) bool { return other == t })
	return err
}
