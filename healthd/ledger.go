package healthd

import "maps"

// Returns is how many times `ready` is given to a balancer that heard our drain or maint: a check that HAProxy gave up just as it was
// answered is lost without a trace.
const Returns = 3

// MaxHeard bounds the balancers that a Ledger remembers.
const MaxHeard = 1024

// Ledger remembers which balancers heard our own drain or maint over the agent-check, for only they may hear `ready`: HAProxy's `ready`
// cancels the drain of whoever set it, an operator's included. The key is the balancer's address, the value how many more times
// it is owed `ready`. A ledger is never modified; Say and Heard make a new one.
type Ledger map[string]int

// Say gives the admin word for one balancer: Drain or Maint while that is the order, Ready while it is owed that, and none (ok is false)
// where the admin state is not ours to touch. The ledger returned is the one to keep, on disk before the word is sent; changed says
// whether it differs. Where MaxHeard other balancers are owed an answer, a new one is told nothing, for that could not be undone.
func (l Ledger) Say(balancer string, order AdminState) (word AdminState, ok bool, next Ledger, changed bool) {
	owed, known := l[balancer]
	switch {
	case order == Ready:
		return Ready, owed > 0, l, false
	case !known && len(l) >= MaxHeard:
		return Ready, false, l, false
	case owed == Returns:
		return order, true, l, false
	}
	return order, true, l.with(balancer, Returns), true
}

// Heard gives the ledger after a balancer took one `ready`.
func (l Ledger) Heard(balancer string) (next Ledger, changed bool) {
	owed := min(l[balancer], Returns) // a file may say more
	if owed <= 0 {
		return l, false
	}
	return l.with(balancer, owed-1), true
}

func (l Ledger) with(balancer string, owed int) Ledger {
	next := maps.Clone(l)
	if next == nil {
		next = Ledger{}
	}
	next[balancer] = owed
	if owed == 0 {
		delete(next, balancer)
	}
	return next
}
