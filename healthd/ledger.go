package healthd

import (
	"maps"
	"time"
)

// How long `ready` is owed to a balancer that heard our drain or maint: for ReturnFor from the first it took, and Returns times at least.
//
// Both are needed. A check that HAProxy gave up just as it was answered is lost without a trace, so once is not enough. And one
// HAProxy asks for each backend that lists the server, all from one address: whatever is counted, some backend may miss its share of it and
// stay in DRAIN (2.2 to 3.2, from as many backends on as there are answers). Time is what they share: ReturnFor is five checks of each
// at the agent-inter of 2 s that HAProxy has by default.
const (
	Returns   = 3
	ReturnFor = 10 * time.Second
)

// MaxHeard bounds the balancers that a Ledger remembers.
const MaxHeard = 1024

// Ledger remembers which balancers heard our own drain or maint over the agent-check, for only they may hear `ready`: HAProxy's `ready`
// cancels the drain of whoever set it, an operator's included. The key is the balancer's address. A ledger is never modified; Say and
// Heard make a new one.
type Ledger map[string]Debt

// Debt is what one balancer is owed.
type Debt struct {
	Left  int       `json:"left"`           // how many more times at least
	Since time.Time `json:"since,omitzero"` // when it took the first
}

// owed reports whether the debt is still open. A file may hold any; a first answer from the future, after the clock was set back, counts
// as one from long ago.
func (d Debt) owed(now time.Time) bool {
	if d.Left > 0 {
		return true
	}
	age := now.Sub(d.Since)
	return age >= 0 && age < ReturnFor
}

// Say gives the admin word for one balancer: Drain or Maint while that is the order, Ready while it is owed that, and none (ok is false)
// where the admin state is not ours to touch. The ledger returned is the one to keep, on disk before the word is sent; changed says
// whether it differs. Where MaxHeard other balancers are owed an answer, a new one is told nothing, for that could not be undone.
func (l Ledger) Say(balancer string, order AdminState, now time.Time) (word AdminState, ok bool, next Ledger, changed bool) {
	debt, known := l[balancer]
	switch {
	case order == Ready && known && !debt.owed(now):
		return Ready, false, l.without(balancer), true
	case order == Ready:
		return Ready, known, l, false
	case !known && len(l) >= MaxHeard:
		return Ready, false, l, false
	case debt == Debt{Left: Returns}:
		return order, true, l, false
	}
	return order, true, l.with(balancer, Debt{Left: Returns}), true
}

// Heard gives the ledger after a balancer took one `ready`.
func (l Ledger) Heard(balancer string, now time.Time) (next Ledger, changed bool) {
	debt := l[balancer]
	if debt.Left <= 0 {
		return l, false
	}
	debt.Left = min(debt.Left, Returns) - 1 // a file may say more
	if debt.Since.IsZero() {
		debt.Since = now
	}
	return l.with(balancer, debt), true
}

func (l Ledger) with(balancer string, debt Debt) Ledger {
	next := maps.Clone(l)
	if next == nil {
		next = Ledger{}
	}
	next[balancer] = debt
	return next
}

func (l Ledger) without(balancer string) Ledger {
	next := maps.Clone(l)
	delete(next, balancer)
	return next
}
