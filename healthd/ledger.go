package healthd

import (
	"maps"
	"strings"
	"time"
)

// How long `ready` is owed to a balancer that heard our drain or maint: Returns times at least, and from the first it took for ReturnFor or for
// the longest time between two of its asks, times the factor below, whichever is later, but for MostOwed at most.
//
// All are needed. A check that HAProxy gave up just as it was answered is lost without a trace, so once is not enough. And one
// HAProxy asks for each backend that lists the server, all from one address: whatever is counted, some backend may miss its share of it and
// stay in DRAIN (2.2 to 3.2, from as many backends on as there are answers). Time is what they share: ReturnFor is five checks of each
// at the agent-inter of 2 s that HAProxy has by default. With a longer one the asks themselves tell how long a round is: where agent-send
// names the row, three gaps are three rounds. Where it does not, the rows of one address are spread over a round, as HAProxy does when it starts, and
// the gap is a part of it: twelve gaps are three rounds of four rows, and a whole one of twelve.
const (
	Returns   = 3
	ReturnFor = 10 * time.Second
	MostOwed  = 10 * time.Minute

	gapsOfRow      = 3
	gapsOfBalancer = 12
	longestGap     = MostOwed / gapsOfRow // who was silent for longer was away
)

// MaxHeard bounds the balancers, or rows of them, that a Ledger remembers. Beyond it the one that asked longest ago makes room.
const MaxHeard = 1024

// Ledger remembers which balancers heard our own drain or maint over the agent-check, for only they may hear `ready`: HAProxy's `ready`
// cancels the drain of whoever set it, an operator's included. The key is a KeyOf. A ledger is never modified; its methods make a new one.
type Ledger map[string]Debt

// KeyOf is the key of a balancer's address, and of its BACKEND/SERVER where that is told.
func KeyOf(balancer, row string) string {
	if row == "" {
		return balancer
	}
	return balancer + " " + row
}

// Debt is what one balancer is owed.
type Debt struct {
	Left    int           `json:"left"`              // how many more times at least
	Since   time.Time     `json:"since,omitzero"`    // when it took the first
	Gap     time.Duration `json:"gap,omitempty"`     // the longest between two asks
	Offered bool          `json:"offered,omitempty"` // by Offer: it may never have heard of a drain

	asked  time.Time // the last time, since the start
	closed bool      // it ran out, and no later gap makes it last longer
}

// owed reports whether the debt is still open. A file may hold any; a first answer from the future, after the clock was set back, counts
// as one from long ago.
func (d Debt) owed(who string, now time.Time) bool {
	if d.Left > 0 || d.closed {
		return !d.closed
	}
	gaps := time.Duration(gapsOfBalancer)
	if strings.Contains(who, " ") {
		gaps = gapsOfRow
	}
	return d.younger(now, min(max(ReturnFor, gaps*min(d.Gap, longestGap)), MostOwed))
}

func (d Debt) younger(now time.Time, limit time.Duration) bool {
	age := now.Sub(d.Since)
	return age >= 0 && age < limit
}

// asks is the debt after one more ask.
func (d Debt) asks(now time.Time) Debt {
	if gap := now.Sub(d.asked); !d.asked.IsZero() && gap <= longestGap {
		d.Gap = max(d.Gap, gap)
	}
	d.asked = now
	return d
}

// Say gives the admin word for one balancer: Drain or Maint while that is the order, Ready while it is owed that, and none (ok is false)
// where the admin state is not ours to touch. The ledger returned is the one to keep; with save it is to be on disk before the word is sent.
func (l Ledger) Say(who string, order AdminState, now time.Time) (word AdminState, ok bool, next Ledger, save bool) {
	if order == Ready {
		who = l.debtor(who)
	}
	debt, known := l[who]
	debt = debt.asks(now)
	switch {
	case order == Ready && !known:
		return Ready, false, l, false
	case order == Ready && debt.owed(who, now):
		return Ready, true, l.with(who, debt), false
	case order == Ready && debt.younger(now, OfferedFor): // it is not to be offered again
		debt.closed = true
		return Ready, false, l.with(who, debt), false
	case order == Ready:
		return Ready, false, l.without(who), false
	}
	whole := Debt{Left: Returns, Gap: debt.Gap, asked: now}
	return order, true, l.with(who, whole), !known || debt.Left != Returns || !debt.Since.IsZero() || debt.Offered
}

// Offer gives the ledger where who is owed a `ready` even if nobody knows why, as after the memory of a drain was lost. Offered reports
// whether that is why it is owed.
func (l Ledger) Offer(who string, now time.Time) (next Ledger, offered bool) {
	if debt, known := l[l.debtor(who)]; known {
		return l, debt.Offered
	}
	return l.with(who, Debt{Left: Returns, Offered: true, asked: now}), true
}

// Heard gives the ledger after a balancer took one `ready`.
func (l Ledger) Heard(who string, now time.Time) (next Ledger, changed bool) {
	who = l.debtor(who)
	debt := l[who]
	if debt.Left <= 0 {
		return l, false
	}
	debt.Left = min(debt.Left, Returns) - 1 // a file may say more
	if debt.Since.IsZero() {
		debt.Since = now
	}
	return l.with(who, debt), true
}

// debtor is the key under which somebody is owed: a row may have heard the drain before agent-send named it.
func (l Ledger) debtor(who string) string {
	balancer, _, named := strings.Cut(who, " ")
	if _, known := l[who]; known || !named {
		return who
	}
	if _, known := l[balancer]; known {
		return balancer
	}
	return who
}

func (l Ledger) with(who string, debt Debt) Ledger {
	next := maps.Clone(l)
	if next == nil {
		next = Ledger{}
	}
	if _, known := next[who]; !known && len(next) >= MaxHeard {
		delete(next, next.silent())
	}
	next[who] = debt
	return next
}

// silent is who asked longest ago.
func (l Ledger) silent() (who string) {
	first := true
	for key, debt := range l {
		if first || debt.asked.Before(l[who].asked) {
			who, first = key, false
		}
	}
	return who
}

func (l Ledger) without(who string) Ledger {
	next := maps.Clone(l)
	delete(next, who)
	return next
}
