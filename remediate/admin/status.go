package admin

import (
	"maps"
	"net/http"
	"slices"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/serve"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// Status is what GET /v1/status answers.
type Status struct {
	Version   string            `json:"version,omitempty"` // of lbmedic
	Config    *Reading          `json:"config,omitempty"`  // what became of its configuration; nil: not known
	Frozen    *remediate.Freeze `json:"frozen,omitempty"`
	NoJournal string            `json:"no_journal,omitempty"` // why nothing can be journaled, and so nothing is done
	Balancers []control.Status  `json:"balancers"`            // by name
	Services  []healthd.Service `json:"services,omitempty"`   // local health services, by name
	Views     []serve.View      `json:"views,omitempty"`      // what balancers say of them with their checks
}

func (s *Server) status(*http.Request) (any, error) {
	out := Status{Version: s.Version, Balancers: []control.Status{}}
	if s.Book != nil {
		out.Frozen, out.NoJournal = s.Book.Ledger().Frozen, s.Book.Broken()
	}
	if s.Reading != nil {
		r := s.Reading()
		out.Config = &r
	}
	controllers := s.controllers()
	for _, name := range slices.Sorted(maps.Keys(controllers)) {
		out.Balancers = append(out.Balancers, controllers[name].Status())
	}
	if s.Board != nil {
		out.Services = s.Board.Latest().Services
	}
	out.Views = s.Views.All()
	return out, nil
}

func (s *Server) health(*http.Request) (any, error) {
	if s.Board == nil {
		return nil, problemf(http.StatusNotFound, NotFound, "this lbmedic has no local health services; its configuration has no health section")
	}
	return s.Board.Latest(), nil
}
