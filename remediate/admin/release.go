package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
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
	if body.All == (len(body.Targets) > 0) || len(body.Targets) > maxTargets {
		return nil, problemf(http.StatusBadRequest, BadRequest, "release takes either all, or from 1 to %d names of balancers or servers", maxTargets)
	}
	if s.Book == nil {
		return nil, problemf(http.StatusServiceUnavailable, NoJournal, "this lbmedic keeps no journal")
	}
	balancers, servers, err := s.toRelease(body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actTime)
	defer cancel()
	out := Released{Done: Done{By: operator(r), After: s.Book.Last()}, Released: []remediate.Target{}}
	var failed error
	for _, name := range balancers {
		released, err := s.controllers()[name].Release(ctx, out.By)
		out.Released = append(out.Released, released...)
		failed = errors.Join(failed, err)
	}
	for _, t := range servers {
		if err := s.releaseServer(ctx, t, out.By); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		out.Released = append(out.Released, t)
	}
	if failed != nil && len(out.Released) == 0 {
		return nil, failed
	}
	if failed != nil {
		out.Problems = append(out.Problems, oneLine(failed))
	}
	out.Did = fmt.Sprintf("%d released; they stay in until their sidecars pass", len(out.Released))
	if len(out.Released) == 0 {
		out.Did = "automation has nothing out"
	}
	return out, nil
}

// toRelease finds what is named. A server must be one that automation has out and on which no order stands: releasing
// it must undo own work and nothing else (S3).
func (s *Server) toRelease(body Release) (balancers []string, servers []remediate.Target, err error) {
	controllers := s.controllers()
	if body.All {
		return slices.Sorted(maps.Keys(controllers)), nil, nil
	}
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
		target, err := s.resolve(t)
		if err != nil {
			return nil, nil, err
		}
		if _, taken := ledger.Takes[target]; !taken {
			return nil, nil, problemf(http.StatusConflict, NotOurs, "automation does not have %s out; `lbmedic ready %s` puts it in service whoever took it out", target, target)
		}
		if order, stands := ledger.Orders[target]; stands {
			return nil, nil, problemf(http.StatusConflict, NotOurs, "%s stands in %s by %s; `lbmedic ready %s` ends that", target, order.Want, order.By, target)
		}
		servers = append(servers, target)
	}
	return balancers, servers, nil
}

func (s *Server) releaseServer(ctx context.Context, t remediate.Target, by string) error {
	return s.controllers()[t.Balancer].Do(ctx, control.Order{Backend: t.Backend, Server: t.Server, Want: remediate.Ready, By: by, Reason: string(remediate.ReleaseOrder)})
}
