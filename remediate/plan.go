package remediate

import (
	"fmt"
	"strings"
	"time"
)

// Hold is a step that was considered and held back.
type Hold struct {
	Target Target `json:"target"`
	Want   Verb   `json:"want"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

func (h Hold) String() string {
	s := fmt.Sprintf("%s %s: %s", h.Want, h.Target, h.Reason)
	if h.Detail != "" {
		s += " (" + h.Detail + ")"
	}
	return s
}

// Change is what has become of an order, a take or an override although nothing has to be done for it.
type Change string

// The changes.
const (
	TakeEnded     Change = "take-ended"     // it is no longer there
	TakeAdopted   Change = "take-adopted"   // a new worker holds it too, brought over by a state file
	TakeSettled   Change = "take-settled"   // what was half a take is a whole one
	OrderEnded    Change = "order-ended"    // lifted elsewhere, or its time is over
	OrderFound    Change = "order-found"    // somebody had set what it wants already
	OrderAdopted  Change = "order-adopted"  // a new worker holds it too
	OverrideSet   Change = "override-set"   // somebody put back what we took out: automation keeps away
	OverrideEnded Change = "override-ended" // its sidecar passes again
)

// Fact is something to remember of a server.
type Fact struct {
	Target Target `json:"target"`
	Change Change `json:"change"`
	Reason Reason `json:"reason"`
}

// Plan is a decision about one backend: what to do now, what is held back and why, and when to look again at the latest.
type Plan struct {
	Take []Action  `json:"take"`
	Hold []Hold    `json:"hold"`
	Fact []Fact    `json:"fact"`
	Wake time.Time `json:"wake,omitzero"` // zero: only when something changes
}

// String is one line a step, in the order of the servers, the same for CLI, log and tests.
func (p Plan) String() string {
	var b strings.Builder
	for _, a := range p.Take {
		fmt.Fprintf(&b, "take %s\n", a)
	}
	for _, h := range p.Hold {
		fmt.Fprintf(&b, "hold %s\n", h)
	}
	for _, f := range p.Fact {
		fmt.Fprintf(&b, "note %s %s: %s\n", f.Change, f.Target, f.Reason)
	}
	return b.String()
}

func (p *Plan) wakeAt(t time.Time) {
	if p.Wake.IsZero() || t.Before(p.Wake) {
		p.Wake = t
	}
}
