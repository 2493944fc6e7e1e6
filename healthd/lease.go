package healthd

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Lease is one owner's order to keep a service out: what, why, and until when.
type Lease struct {
	Owner  string     `json:"owner"`
	State  AdminState `json:"state"` // Drain or Maint
	Reason string     `json:"reason,omitempty"`
	Since  time.Time  `json:"since"`
	Until  time.Time  `json:"until,omitzero"` // zero: until its owner ends it
}

// Live reports whether the lease stands at now.
func (l Lease) Live(now time.Time) bool { return l.Until.IsZero() || now.Before(l.Until) }

// MaxLeases bounds the owners of one service's leases.
const MaxLeases = 64

// Leases are those of one service, one for each owner, by owner. The service is out as long as any of them stands, so that nobody's drain
// is cut short by somebody else's. A value is never modified.
type Leases []Lease

// Take gives the leases after an owner took one, in the place of the one it had. It is refused (ok is false) where MaxLeases others have one.
func (l Leases) Take(lease Lease) (next Leases, ok bool) {
	next = l.Without(lease.Owner)
	if len(next) >= MaxLeases {
		return l, false
	}
	next = append(next, lease)
	slices.SortFunc(next, func(a, b Lease) int { return strings.Compare(a.Owner, b.Owner) })
	return next, true
}

// Without gives the leases of all other owners.
func (l Leases) Without(owner string) Leases {
	return slices.DeleteFunc(slices.Clone(l), func(lease Lease) bool { return lease.Owner == owner })
}

// Live gives the leases that stand at now.
func (l Leases) Live(now time.Time) Leases {
	return slices.DeleteFunc(slices.Clone(l), func(lease Lease) bool { return !lease.Live(now) })
}

// Admin is what the leases together order at now: the gravest state, by all who ordered it, since the first of them and until the last ends. It is
// Ready where none stands.
func (l Leases) Admin(now time.Time) Admin {
	live := l.Live(now)
	if len(live) == 0 {
		return Admin{}
	}
	gravest := slices.MaxFunc(live, func(a, b Lease) int { return cmp.Compare(a.State, b.State) }).State
	out := Admin{State: gravest}
	var owners []string
	forever := false
	for _, lease := range live {
		if lease.State != gravest {
			continue
		}
		owners = append(owners, lease.Owner)
		if out.Since.IsZero() || lease.Since.Before(out.Since) {
			out.Since, out.Reason = lease.Since, lease.Reason
		}
		forever = forever || lease.Until.IsZero()
		if lease.Until.After(out.Until) {
			out.Until = lease.Until
		}
	}
	if forever {
		out.Until = time.Time{}
	}
	out.By = Line(strings.Join(owners, ", "), MaxDetail)
	return out
}

// Who ends an order that nobody asked to end just then.
const (
	ByTime     = "the end of its time"
	ByShutdown = "shutdown"
)

// OfferedFor is how long after a person's `ready` it is said to whoever asks.
const OfferedFor = 2 * time.Minute

// Offers reports whether somebody said `ready` just now: then a balancer is to hear so even if nobody remembers that it heard of a drain, for
// that memory may be lost, as with a container without a volume.
func (a Admin) Offers(now time.Time) bool {
	age := now.Sub(a.Since)
	return a.State == Ready && a.By != "" && a.By != ByTime && a.By != ByShutdown && age >= 0 && age < OfferedFor
}

// Next is when the next lease ends; zero where none has an end.
func (l Leases) Next() (next time.Time) {
	for _, lease := range l {
		if !lease.Until.IsZero() && (next.IsZero() || lease.Until.Before(next)) {
			next = lease.Until
		}
	}
	return next
}
