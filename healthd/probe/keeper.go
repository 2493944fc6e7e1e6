package probe

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

const leasesFile = "health-leases.json"

// Keeper keeps the leases of people and deploys on the services of a board, on disk, and the board at what they order together. Its methods
// are safe for concurrent use.
type Keeper struct {
	board *Board
	wake  chan struct{} // says that the next end may be another

	mu     sync.Mutex
	leases leases
	told   bool // the last settling failed, and that was told
}

// leases are by service, those of services that left the config too, for they may come back. A value is never modified.
type leases struct {
	Services map[string]healthd.Leases `json:"services"`
}

// NewKeeper begins with the leases beside the board's own files. A file that cannot be read is set aside and told as an error beside the
// Keeper, which works: what the board itself kept still stands, without an end.
func NewKeeper(b *Board) (*Keeper, error) {
	k := &Keeper{board: b, wake: make(chan struct{}, 1)}
	if err := loadFile(b.dir, leasesFile, &k.leases); err != nil {
		k.leases = leases{}
		return k, fmt.Errorf("no drain ends by itself, check what was drained: %w", err)
	}
	return k, nil
}

// Leases are those that stand on a service.
func (k *Keeper) Leases(service string) healthd.Leases {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.leases.Services[service].Live(time.Now())
}

// Take orders a service out for an owner, until the lease ends, and gives what stands then. It is on disk before it is seen.
func (k *Keeper) Take(service string, lease healthd.Lease) (healthd.Admin, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if lease.Since.IsZero() {
		lease.Since = now
	}
	lease.Owner, lease.Reason = healthd.Line(lease.Owner, healthd.MaxDetail), healthd.Line(lease.Reason, healthd.MaxDetail)
	next, ok := k.leases.Services[service].Live(now).Take(lease)
	if !ok {
		return healthd.Admin{}, fmt.Errorf("set %s to %s: %d others keep it out already", service, lease.State, healthd.MaxLeases)
	}
	return k.set(service, next, lease.Owner, now)
}

// End ends what an owner ordered, or with all what anybody did, and gives what stands then. Where nothing stood, it is ready anew: the memory of a
// drain may be lost, while a balancer has not forgotten it. See healthd.Admin.Offers.
func (k *Keeper) End(service, owner string, all bool) (healthd.Admin, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	next := k.leases.Services[service].Live(now).Without(owner)
	if all {
		next = nil
	}
	if svc, ok := k.board.Latest().Service(service); ok && svc.Admin.State == healthd.Ready && len(next) == 0 {
		if err := k.board.Order(service, healthd.Admin{By: owner, Since: now}); err != nil {
			return svc.Admin, err
		}
	}
	return k.set(service, next, owner, now)
}

// set takes other leases for a service and has the board follow. What comes is on disk before it is seen, what goes after: whichever of the
// two files a crash leaves behind, the next start ends in one of the two states, and an end is not given twice.
func (k *Keeper) set(service string, to healthd.Leases, by string, now time.Time) (healthd.Admin, error) {
	services := maps.Clone(k.leases.Services)
	if services == nil {
		services = map[string]healthd.Leases{}
	}
	services[service] = to
	order := to.Admin(now)
	if order.State == healthd.Ready {
		order.By = by
		delete(services, service)
		if err := k.follow(service, order); err != nil {
			return order, err
		}
	}
	next := leases{services}
	if err := saveFile(k.board.dir, leasesFile, next); err != nil && order.State != healthd.Ready {
		return order, fmt.Errorf("keep the orders for %s: %w", service, err)
	} else if err != nil {
		k.leases = next
		return order, fmt.Errorf("%s is ready, but a restart would put back what it was ordered: %w", service, err)
	}
	k.leases = next
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return order, k.follow(service, order)
}

// follow has the board order what the leases do, once.
func (k *Keeper) follow(service string, order healthd.Admin) error {
	svc, ok := k.board.Latest().Service(service)
	if ok && same(svc.Admin, order) {
		return nil
	}
	return k.board.Order(service, order)
}

func same(a, b healthd.Admin) bool {
	if a.State != b.State {
		return false
	}
	return a.State == healthd.Ready || a.By == b.By && a.Reason == b.Reason && a.Since.Equal(b.Since) && a.Until.Equal(b.Until)
}

// Run has the board stand at what the leases order, also those that were kept over a restart, and ends each at its time, until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		end := time.NewTimer(k.settle())
		select {
		case <-ctx.Done():
			end.Stop()
			return nil
		case <-k.wake:
		case <-end.C:
		}
		end.Stop()
	}
}

// The clock of the host may be set: an end is looked for at least each recheck. What could not be written is tried again after retryLease.
const (
	recheck    = time.Minute
	retryLease = time.Second
)

// settle applies what stands and ends what is over, and gives the time until there is more to do.
func (k *Keeper) settle() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	wait := recheck
	var failed error
	for _, service := range slices.Sorted(maps.Keys(k.leases.Services)) {
		if _, here := k.board.Latest().Service(service); !here {
			continue
		}
		all := k.leases.Services[service]
		live := all.Live(now)
		var err error
		if len(live) < len(all) {
			_, err = k.set(service, live, healthd.ByTime, now)
		} else {
			err = k.follow(service, live.Admin(now))
		}
		if err != nil {
			wait = min(wait, retryLease)
		}
		failed = cmp.Or(failed, err)
		if next := live.Next(); !next.IsZero() {
			wait = min(wait, max(next.Sub(now), 0))
		}
	}
	if failed != nil && !k.told {
		k.board.problem(failed)
	}
	k.told = failed != nil
	return wait
}
