package remediate

import (
	"time"
)

// The kinds of journal records that the ledger folds. Others are for people only.
const (
	KindOrder   = "order"   // body OrderRecord: an operator wants a server drained or in maintenance
	KindIntent  = "intent"  // body IntentRecord: about to act
	KindOutcome = "outcome" // body OutcomeRecord: how that went
	KindFact    = "fact"    // body FactRecord
	KindFreeze  = "freeze"  // body Freeze
	KindThaw    = "thaw"    // body Freeze
	KindSaw     = "saw"     // for people: a verdict, a generation, a problem
)

// OrderRecord is the body of KindOrder.
type OrderRecord struct {
	Target Target `json:"target"`
	Order  Order  `json:"order"`
}

// IntentRecord is the body of KindIntent: on disk before the first byte of the side effect (S7).
type IntentRecord struct {
	Action     Action     `json:"action"`
	Generation Generation `json:"generation"`
	By         string     `json:"by,omitempty"` // the operator, where one asked for it
}

// Result is how an action went.
type Result string

// The results. Unknown is resolved only by reading the state back (S9).
const (
	Done    Result = "done"
	Refused Result = "refused" // by the balancer; nothing changed
	Missed  Result = "missed"  // it was not sent, or the worker it was meant for is gone; nothing changed
	Half    Result = "half"    // forced down, but a check under way may put the server up again, or has: unchecked
	Unknown Result = "unknown"
)

// OutcomeRecord is the body of KindOutcome.
type OutcomeRecord struct {
	Intent uint64 `json:"intent"` // the intent's sequence number
	Target Target `json:"target"`
	Verb   Verb   `json:"verb"`
	Result Result `json:"result"`
	Detail string `json:"detail,omitempty"`
}

// FactRecord is the body of KindFact.
type FactRecord struct {
	Fact       Fact       `json:"fact"`
	Generation Generation `json:"generation,omitzero"`
}

// Freeze says who stopped automation and why.
type Freeze struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

func (f *Freeze) String() string {
	if f == nil {
		return ""
	}
	s := "by " + f.By + " at " + f.At.Format(time.RFC3339)
	if f.Reason != "" {
		s += ": " + f.Reason
	}
	return s
}
