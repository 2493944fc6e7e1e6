package remediate

import (
	"fmt"
	"time"
)

// Verb is one thing that can be done to a server.
type Verb string

// The verbs. Automation uses the health and weight axes, orders the admin state (DESIGN: three axes).
const (
	ForceDown     Verb = "force-down"     // forced health: reads DOWN, sticky users move, requests in flight finish
	EnableHealth  Verb = "enable-health"  // undoes ForceDown: the balancer's own check returns it after its rise
	ZeroWeight    Verb = "zero-weight"    // for a server without a check
	RestoreWeight Verb = "restore-weight" // undoes ZeroWeight
	Drain         Verb = "drain"          // order: no new sessions, sessions finish
	Maint         Verb = "maint"          // order: no sessions at all
	Ready         Verb = "ready"          // order: back in service
)

// Destructive reports whether the verb may reduce serving capacity.
func (v Verb) Destructive() bool {
	return v == ForceDown || v == ZeroWeight || v == Drain || v == Maint
}

// Undo is the verb that takes back a take.
func (v Verb) Undo() Verb {
	switch v {
	case ForceDown:
		return EnableHealth
	case ZeroWeight:
		return RestoreWeight
	}
	return Ready
}

// Action is one step of a plan.
type Action struct {
	Verb    Verb   `json:"verb"`
	Target  Target `json:"target"`
	Reason  Reason `json:"reason"`
	Detail  string `json:"detail,omitempty"`  // the evidence, one line
	Weight  int    `json:"weight,omitempty"`  // RestoreWeight: the weight to restore; ZeroWeight: the weight found
	Initial int    `json:"initial,omitempty"` // ZeroWeight: the initial weight found
}

func (a Action) String() string {
	s := fmt.Sprintf("%s %s: %s", a.Verb, a.Target, a.Reason)
	if a.Detail != "" {
		s += " (" + a.Detail + ")"
	}
	return s
}

// Take is own work that is open: a server that automation took out and has not yet put back.
type Take struct {
	Seq        uint64     `json:"seq"` // of the journal's record
	Verb       Verb       `json:"verb"`
	Reason     Reason     `json:"reason"`
	Detail     string     `json:"detail,omitempty"`
	At         time.Time  `json:"at"`
	Generation Generation `json:"generation"`
	Weight     int        `json:"weight,omitempty"`  // ZeroWeight: the weight found
	Initial    int        `json:"initial,omitempty"` // ZeroWeight: the initial weight found
	Moved      bool       `json:"moved,omitempty"`   // another worker holds it now than the one it was made in
	Half       bool       `json:"half,omitempty"`    // ForceDown: a check under way may still put it back, or has
}

// RestoreTo is the weight that undoes a ZeroWeight: the one found, if worker and initial weight are the same as then,
// else the initial weight.
func (t Take) RestoreTo(s Server, g Generation) int {
	if t.Weight > 0 && !t.Moved && t.Generation.Same(g) && t.Initial == s.InitialWeight {
		return t.Weight
	}
	return s.InitialWeight
}

// Order is what an operator wants of a server. It lives until the operator ends it or its time is over.
type Order struct {
	Seq        uint64     `json:"seq"`
	Want       Verb       `json:"want"` // Drain or Maint
	Reason     string     `json:"reason,omitempty"`
	By         string     `json:"by"`
	At         time.Time  `json:"at"`
	Until      time.Time  `json:"until,omitzero"`
	Applied    bool       `json:"applied,omitempty"`
	Found      bool       `json:"found,omitempty"`     // somebody had set it already: its end is not ours to bring about
	Generation Generation `json:"generation,omitzero"` // in which it was applied
}

// Expired reports whether the operator's own time limit is over.
func (o Order) Expired(now time.Time) bool { return !o.Until.IsZero() && !now.Before(o.Until) }

// Override marks a server that an operator put back while automation wanted it out. It ends when its sidecar passes.
type Override struct {
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
}
