package probe

import (
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

const weightsFile = "health-weights.json"

// Weights remembers on disk which balancers heard from us that a service is worth less than all of its weight, for only they may hear
// `100%`: it overwrites whatever weight an operator set. It is owed as `ready` is, see healthd.Ledger. Its methods are safe for concurrent use.
type Weights struct{ owed *shelf[weights] }

// weights are the debts by service. A value is never modified.
type weights struct {
	Services map[string]healthd.Ledger `json:"services"`
}

// NewWeights begins with what is on disk in dir, which exists; empty keeps nothing. A file that cannot be read is set aside and told as an
// error beside the Weights, which work: those balancers keep the weight that they heard until they hear another.
func NewWeights(dir string) (*Weights, error) {
	owed, err := newShelf[weights](dir, weightsFile)
	if err != nil {
		err = fmt.Errorf("no weight that a balancer heard is given back, look for servers below their weight: %w", err)
	}
	return &Weights{owed}, err
}

// Weigh says that a balancer is about to hear that a service is worth less than all of its weight, which is on disk before it returns; or, where
// less is false, whether it is owed `100%`. Row is its BACKEND/SERVER, where it tells.
func (w *Weights) Weigh(service string, balancer netip.Addr, row string, less bool) (owed bool, err error) {
	order := healthd.Ready
	if less {
		order = healthd.Drain
	}
	ok, save, now := false, false, time.Now()
	say := func(all weights) weights {
		debts := all.Services[service]
		if !less && len(debts) == 0 {
			return all
		}
		_, ok, debts, save = debts.Say(keyOf(balancer, row), order, now)
		return all.with(service, debts)
	}
	w.owed.change(func(all weights) weights {
		if next := say(all); !save {
			return next
		}
		return all
	})
	if save {
		if err := w.owed.write(patience, say, atOnce); err != nil {
			return false, fmt.Errorf("tell %s a weight of %s: %w", balancer, service, err)
		}
	}
	return ok && !less, nil
}

// Offer has a balancer be owed `100%` even if nobody knows that it heard less. Offered reports whether that is why it is owed.
func (w *Weights) Offer(service string, balancer netip.Addr, row string) (offered bool) {
	w.owed.change(func(all weights) weights {
		var debts healthd.Ledger
		debts, offered = all.Services[service].Offer(keyOf(balancer, row), time.Now())
		return all.with(service, debts)
	})
	return offered
}

// Weighed notes that a balancer took `100%`. An error means that a restart would give it for longer than needed.
func (w *Weights) Weighed(service string, balancer netip.Addr, row string) error {
	changed := false
	w.owed.change(func(all weights) weights {
		var debts healthd.Ledger
		if debts, changed = all.Services[service].Heard(keyOf(balancer, row), time.Now()); !changed {
			return all
		}
		return all.with(service, debts)
	})
	if !changed {
		return nil
	}
	if err := w.owed.save(); err != nil {
		return fmt.Errorf("note that %s took the weight of %s back: %w", balancer, service, err)
	}
	return nil
}

func (w weights) with(service string, ledger healthd.Ledger) weights {
	services := maps.Clone(w.Services)
	if services == nil {
		services = map[string]healthd.Ledger{}
	}
	services[service] = ledger
	return weights{services}
}
