package probe

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

const weightsFile = "health-weights.json"

// Weights remembers on disk which balancers heard from us that a service is worth less than all of its weight, for only they may hear
// `100%`: it overwrites whatever weight an operator set. It is owed as `ready` is, see healthd.Ledger. Its methods are safe for concurrent use.
type Weights struct {
	dir  string
	mu   sync.Mutex
	owed weights
}

// weights are the debts by service. A value is never modified.
type weights struct {
	Services map[string]healthd.Ledger `json:"services"`
}

// NewWeights begins with what is on disk in dir, which exists; empty keeps nothing. A file that cannot be read is set aside and told as an
// error beside the Weights, which work: those balancers keep the weight that they heard until they hear another.
func NewWeights(dir string) (*Weights, error) {
	w := &Weights{dir: dir}
	if err := loadFile(dir, weightsFile, &w.owed); err != nil {
		w.owed = weights{}
		return w, fmt.Errorf("no weight that a balancer heard is given back, look for servers below their weight: %w", err)
	}
	return w, nil
}

// Weigh says that a balancer is about to hear that a service is worth less than all of its weight, which is on disk before it returns; or, where
// less is false, whether it is owed `100%`.
func (w *Weights) Weigh(service string, balancer netip.Addr, less bool) (owed bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !less && len(w.owed.Services[service]) == 0 {
		return false, nil
	}
	order := healthd.Ready
	if less {
		order = healthd.Drain
	}
	_, ok, ledger, changed := w.owed.Services[service].Say(keyOf(balancer), order, time.Now())
	if !changed {
		if less && !ok {
			return false, fmt.Errorf("tell %s a weight of %s: too many balancers are owed theirs back", balancer, service)
		}
		return ok && !less, nil
	}
	next := w.with(service, ledger)
	if !less { // a debt that ran out: on disk it may stay, it has run out there too
		w.owed = next
		return false, nil
	}
	if err := saveFile(w.dir, weightsFile, next); err != nil {
		return false, fmt.Errorf("tell %s a weight of %s: %w", balancer, service, err)
	}
	w.owed = next
	return false, nil
}

// Weighed notes that a balancer took `100%`. An error means that a restart would give it for longer than needed.
func (w *Weights) Weighed(service string, balancer netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	ledger, changed := w.owed.Services[service].Heard(keyOf(balancer), time.Now())
	if !changed {
		return nil
	}
	w.owed = w.with(service, ledger)
	if err := saveFile(w.dir, weightsFile, w.owed); err != nil {
		return fmt.Errorf("note that %s took the weight of %s back: %w", balancer, service, err)
	}
	return nil
}

func (w *Weights) with(service string, ledger healthd.Ledger) weights {
	services := maps.Clone(w.owed.Services)
	if services == nil {
		services = map[string]healthd.Ledger{}
	}
	services[service] = ledger
	return weights{services}
}
