package admin

import (
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
	return s.Switch(kind, why.Reason, operator(r))
}

// Switch stops automation (remediate.KindFreeze) or lets it act again (remediate.KindThaw). It needs nothing but Book.
func (s *Server) Switch(kind, reason, by string) (Done, error) {
	if err := checkReason(reason); err != nil {
		return Done{}, problemf(http.StatusBadRequest, BadRequest, "%s", err)
	}
	if s.Book == nil {
		return Done{}, problemf(http.StatusServiceUnavailable, NoJournal, "this lbmedic keeps no journal")
	}
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
		done.Did = "automation may act again; it was frozen " + FrozenBy(was)
	}
	if err := write(by, reason); err != nil {
		return Done{}, problemf(http.StatusServiceUnavailable, NoJournal, "write down the %s: %s", kind, oneLine(err))
	}
	s.log().Info(kind, zap.String("by", by), zap.String("reason", reason))
	return done, nil
}
