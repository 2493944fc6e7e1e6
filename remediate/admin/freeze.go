package admin

import (
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/remediate"
)

// Why is the body of POST /v1/freeze and /v1/thaw.
type Why struct {
	Reason string `json:"reason,omitempty"`
}

func (s *Server) freeze(r *http.Request) (any, error) {
	return s.switchAutomation(r, remediate.KindFreeze)
}

func (s *Server) thaw(r *http.Request) (any, error) { return s.switchAutomation(r, remediate.KindThaw) }

func (s *Server) switchAutomation(r *http.Request, kind string) (any, error) {
	var why Why
	if err := read(r, &why); err != nil {
		return nil, err
	}
	if err := checkReason(why.Reason); err != nil {
		return nil, problemf(http.StatusBadRequest, BadRequest, "%s", err)
	}
	if s.Book == nil {
		return nil, problemf(http.StatusServiceUnavailable, NoJournal, "this lbmedic keeps no journal")
	}
	by := operator(r)
	done := Done{By: by, After: s.Book.Last()}
	was := s.Book.Ledger().Frozen
	write := s.Book.Freeze
	done.Did = "automation is frozen until `lbmedic thaw`; orders of operators are still carried out"
	switch {
	case kind == remediate.KindThaw && was == nil:
		done.Did = "automation was not frozen"
		return done, nil
	case kind == remediate.KindThaw:
		write = s.Book.Thaw
		done.Did = fmt.Sprintf("automation may act again; it was frozen by %s", was)
	}
	if err := write(by, why.Reason); err != nil {
		return nil, problemf(http.StatusServiceUnavailable, NoJournal, "write down the %s: %s", kind, oneLine(err))
	}
	s.log().Info(kind, zap.String("by", by), zap.String("reason", why.Reason))
	return done, nil
}
