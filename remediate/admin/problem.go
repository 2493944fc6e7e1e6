package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/lbmedic/lbmedic/remediate"
)

// Problem is why a request was not carried out, as RFC 9457 has it, with a named reason.
type Problem struct {
	Type   string `json:"type"` // about:blank
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"` // one line
	Reason Reason `json:"reason"`
}

// Reason names why a request was refused. Where an order breaks a bound it is the remediate.Reason of that bound.
type Reason string

// The reasons that are the API's own.
const (
	BadRequest      Reason = "bad-request"
	BadName         Reason = "bad-name"
	NotFound        Reason = "not-found"
	BadMethod       Reason = "bad-method"
	Forbidden       Reason = "forbidden"
	UnknownServer   Reason = Reason(remediate.HoldUnknownServer)
	UnknownBalancer Reason = "unknown-balancer"
	UnknownService  Reason = "unknown-service"
	AmbiguousName   Reason = "ambiguous-name"
	OtherOperator   Reason = "another-operator" // whose order stands
	NotOurs         Reason = "not-ours"         // a release of what automation did not take
	NoJournal       Reason = Reason(remediate.HoldNoJournal)
	TooMany         Reason = "too-many-streams"
	BalancerFailed  Reason = "balancer-failed"
	Internal        Reason = "internal"
)

func (p *Problem) Error() string {
	if p.Reason == BadRequest || p.Reason == BadName {
		return p.Detail
	}
	return fmt.Sprintf("%s (%s)", p.Detail, p.Reason)
}

// Local reports whether the request itself was wrong, so that the same words can never be carried out.
func (p *Problem) Local() bool { return p.Status == http.StatusBadRequest }

func problemf(status int, reason Reason, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...), Reason: reason}
}

// problem says what an error is to a caller.
func (s *Server) problem(err error) *Problem {
	var p *Problem
	var refused *remediate.Refusal
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refused) && refused.Reason == remediate.HoldUnknownServer:
		return problemf(http.StatusNotFound, Reason(refused.Reason), "%s: %s", refused.Target, refused.Detail)
	case errors.As(err, &refused):
		return problemf(http.StatusConflict, Reason(refused.Reason), "%s: %s", refused.Target, refused.Detail)
	case errors.As(err, &tooBig):
		return problemf(http.StatusBadRequest, BadRequest, "the request is larger than %d bytes", tooBig.Limit)
	case s.Book == nil, s.Book.Broken() != "":
		return problemf(http.StatusServiceUnavailable, NoJournal, "%s", oneLine(err))
	case errors.Is(err, context.DeadlineExceeded):
		return problemf(http.StatusBadGateway, BalancerFailed, "no answer within %s: %s", actTime, oneLine(err))
	}
	return problemf(http.StatusBadGateway, BalancerFailed, "%s", oneLine(err))
}

func (p *Problem) write(w http.ResponseWriter) {
	text, err := json.Marshal(p)
	if err != nil { // of strings and a number: cannot be
		text = fmt.Appendf(nil, `{"status":%d}`, p.Status)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(text) // a caller that has gone misses nothing
}
