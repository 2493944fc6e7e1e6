// Package remediate decides what the state of each server behind a load balancer should be. It is pure: a View goes in,
// a Plan comes out, time is a value, and every step taken or held back carries a named reason. The loop around it
// (observe, decide, journal, act) lives in remediate/control.
package remediate

import (
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Target names a server: BALANCER/BACKEND/SERVER.
type Target struct {
	Balancer string `json:"balancer"`
	Backend  string `json:"backend"`
	Server   string `json:"server"`
}

func (t Target) String() string { return t.Balancer + "/" + t.Backend + "/" + t.Server }

// MarshalText makes a target a key of a JSON object.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is the reverse of MarshalText.
func (t *Target) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return fmt.Errorf("read target %q: want BALANCER/BACKEND/SERVER", text)
	}
	*t = Target{parts[0], parts[1], parts[2]}
	return nil
}

// Admin is the administrative state of a server. The bits are those that HAProxy prints, in decimal, as
// srv_admin_state of `show servers state`.
type Admin uint8

// The bits of Admin.
const (
	ForcedMaint    Admin = 1  // set on the runtime socket, by anybody
	InheritedMaint Admin = 2  // the server it tracks is in maintenance
	ConfigMaint    Admin = 4  // `disabled` in the config; it stays set when somebody makes the server ready (all four versions)
	ForcedDrain    Admin = 8  // set on the runtime socket or by an agent check
	InheritedDrain Admin = 16 // the server it tracks is drained
	DNSMaint       Admin = 32 // its name does not resolve
	FQDNChanged    Admin = 64 // its name was changed at run time; it serves
)

// OutOfService are the bits that keep new sessions away.
const OutOfService = ForcedMaint | InheritedMaint | ForcedDrain | InheritedDrain | DNSMaint

func (a Admin) String() string {
	switch {
	case a&ForcedMaint != 0:
		return "maint"
	case a&InheritedMaint != 0:
		return "maint (tracked)"
	case a&DNSMaint != 0:
		return "maint (dns)"
	case a&ForcedDrain != 0:
		return "drain"
	case a&InheritedDrain != 0:
		return "drain (tracked)"
	}
	return "ready"
}

// Oper is what the balancer's own checks say of a server.
type Oper int8

// The operational states. The zero value is unknown: nothing is decided on it.
const (
	OperUnknown Oper = iota
	OperUp
	OperDown
	OperStopping // `disable-on-404`: new sessions stay away
	OperStarting // in slowstart: it takes sessions, but not its share yet
)

func (o Oper) String() string { return [...]string{"unknown", "up", "down", "stopping", "starting"}[o] }

// Evidence is what a server's sidecar last said of the app behind it. The zero value says that nothing is known.
type Evidence struct {
	Status healthd.Status `json:"status"`
	At     time.Time      `json:"at,omitzero"` // when the answer arrived
	Stale  bool           `json:"stale"`       // the sidecar itself said that its verdict is old
	Detail string         `json:"detail"`      // one line: which check and why
}

// Server is one row of a backend as the live worker of the balancer reports it, with what else is known of it.
type Server struct {
	Name          string
	Address       string // "ip:port"; rows of one backend that share it are one instance
	Admin         Admin
	Oper          Oper
	Weight        int // the effective weight now
	InitialWeight int // the weight in the config
	Backup        bool
	Checked       bool   // the config has `check`
	CheckOff      bool   // its health check is switched off at run time, as forced health does
	CheckRunning  bool   // a check is under way: it still counts when checks are switched off meanwhile
	Tracks        string // "backend/server" whose state it follows, or empty
	Persistent    bool   // a cookie, stick rule, use-server or force-persist may still reach it at weight 0
	Agent         bool   // an agent check owns its health and weight: it would undo whatever automation sets
	Sessions      int
	Queued        int

	Evidence   Evidence
	Take       *Take       // own work that is open on it
	Order      *Order      // the operator's order that is live on it
	Override   *Override   // an operator lifted our take; automation keeps away
	Pending    bool        // the outcome of a command is not known
	PendingOut bool        // and it may still take the server out
	TakenAt    []time.Time // when automation took it out before, newest last
	RefusedAt  time.Time   // when the balancer last refused a step on it, unless one was done since
}

// Serving reports whether the row takes its share of new sessions now.
func (s Server) Serving() bool {
	return s.Admin&OutOfService == 0 && s.Weight > 0 && (s.Oper == OperUp || !s.Checked && s.Oper != OperDown)
}

// InService reports whether the row gets new sessions now, in slowstart too.
func (s Server) InService() bool {
	return s.Serving() || s.Admin&OutOfService == 0 && s.Weight > 0 && s.Oper == OperStarting
}

// ForcedDown reports whether the row reads as forced health leaves it: down, with its check switched off.
func (s Server) ForcedDown() bool { return s.CheckOff && s.Oper == OperDown }

// returnTime is how long a server that we gave back may take to pass the balancer's own checks before that is news.
const returnTime = time.Minute

// returning reports whether automation had the server out a moment ago.
func (s Server) returning(now time.Time) bool {
	n := len(s.TakenAt)
	return n > 0 && within(s.TakenAt[n-1], returnTime, now)
}

// refuseTime is how long nothing is tried again on a server after the balancer refused a step.
const refuseTime = 30 * time.Second

// refused reports whether the balancer refused a step on the server a moment ago, and until when it is left alone.
func (s Server) refused(now time.Time) (until time.Time, yes bool) {
	until = s.RefusedAt.Add(refuseTime)
	return until, !s.RefusedAt.IsZero() && !s.RefusedAt.After(now) && now.Before(until)
}

func (s Server) leftAlone(now time.Time) bool {
	_, yes := s.refused(now)
	return yes
}

// within reports whether at lies in the span before now. What lies in the future, after the clock was set back, does not.
func within(at time.Time, span time.Duration, now time.Time) bool {
	return !at.After(now) && now.Sub(at) < span
}
