package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// Order is the body of POST /v1/orders.
type Order struct {
	Target string         `json:"target"` // see ParseTarget
	Want   remediate.Verb `json:"want"`   // drain, maint or ready
	Reason string         `json:"reason,omitempty"`
	For    Duration       `json:"for,omitempty"`   // 0: until the operator ends it; at most a year; not with ready
	Force  bool           `json:"force,omitempty"` // below the capacity floor too, and over another operator's order
	Check  bool           `json:"check,omitempty"` // only says whether the name means a server or service that may be ordered; nothing is done
}

// Duration is a time.Duration written as in "1h30m".
type Duration time.Duration

// MarshalText writes it as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Done is what every mutation answers: what was done.
type Done struct {
	Did    string    `json:"did"`              // one line
	Target string    `json:"target,omitempty"` // in full
	By     string    `json:"by"`               // the operator, as the kernel told it
	Until  time.Time `json:"until,omitzero"`
	After  uint64    `json:"after,omitempty"` // the events behind this number tell of it
}

// Bounds of an order.
const (
	maxReason = 500
	maxFor    = 366 * 24 * time.Hour
)

func (s *Server) order(r *http.Request) (any, error) {
	var o Order
	if err := read(r, &o); err != nil {
		return nil, err
	}
	t, err := ParseTarget(o.Target)
	if err != nil {
		return nil, problemf(http.StatusBadRequest, BadName, "%s", oneLine(err))
	}
	if err := o.check(); err != nil {
		return nil, problemf(http.StatusBadRequest, BadRequest, "%s", err)
	}
	// An order that was begun is not cut off because the caller goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actTime)
	defer cancel()
	if t.Service != "" {
		return s.orderService(o, t.Service, operator(r))
	}
	return s.orderServer(ctx, o, t, operator(r))
}

func (o Order) check() error {
	switch {
	case o.Want != remediate.Drain && o.Want != remediate.Maint && o.Want != remediate.Ready:
		return fmt.Errorf("want must be drain, maint or ready, not %q", healthd.Line(string(o.Want), 32))
	case o.For < 0 || time.Duration(o.For) > maxFor:
		return fmt.Errorf("for must be between 0 and %s, not %s", maxFor, time.Duration(o.For))
	case o.For > 0 && o.Want == remediate.Ready:
		return errors.New("ready has no end, so it takes no time")
	}
	return checkReason(o.Reason)
}

func checkReason(reason string) error {
	if len(reason) > maxReason || !utf8.ValidString(reason) {
		return fmt.Errorf("a reason is at most %d bytes of text", maxReason)
	}
	for _, r := range reason {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("a reason is one line of text, without %q", r)
		}
	}
	return nil
}

func (s *Server) orderServer(ctx context.Context, o Order, t Target, by string) (any, error) {
	target, err := s.resolve(t)
	if err != nil {
		return nil, err
	}
	turn := s.turn(target.Balancer)
	turn.Lock() // from the look at who has it to the order: of two operators one is told of the other
	defer turn.Unlock()
	if err := s.conflict(o, target, by); err != nil {
		return nil, err
	}
	if o.Check {
		return Done{Did: fmt.Sprintf("nothing; %s is there", target), Target: target.String(), By: by}, s.mustHave(target)
	}
	done := Done{Did: fmt.Sprintf("%s %s", o.Want, target), Target: target.String(), By: by, After: s.Book.Last()}
	err = s.controllers()[target.Balancer].Do(ctx, control.Order{
		Backend: target.Backend, Server: target.Server, Want: o.Want, Reason: o.Reason, By: by, For: time.Duration(o.For), Force: o.Force,
	})
	order, stands := s.Book.Ledger().Orders[target]
	stands = stands && order.Want == o.Want
	if err != nil {
		var refused *remediate.Refusal
		if stands && order.Seq > done.After && !errors.As(err, &refused) {
			err = fmt.Errorf("%w; the order stands and is tried again until `lbmedic ready %s` ends it", err, target)
		}
		return nil, err
	}
	if stands {
		done.Until = order.Until
	}
	return done, nil
}

// conflict refuses to undo or replace what another operator ordered: somebody may be at work on that server.
func (s *Server) conflict(o Order, t remediate.Target, by string) error {
	stands, ok := s.Book.Ledger().Orders[t]
	if !ok || o.Force || stands.By == by || stands.Expired(time.Now()) {
		return nil
	}
	return problemf(http.StatusConflict, OtherOperator, "%s is in %s by %s since %s%s, and %s wants %s; ask them, or --force it",
		t, stands.Want, stands.By, Clock(stands.At), reasonSuffix(stands.Reason), by, o.Want)
}

// turn lets one order for a balancer be given at a time.
func (s *Server) turn(balancer string) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turns == nil {
		s.turns = map[string]*sync.Mutex{}
	}
	if s.turns[balancer] == nil {
		s.turns[balancer] = new(sync.Mutex)
	}
	return s.turns[balancer]
}

func reasonSuffix(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
