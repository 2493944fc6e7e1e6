package probe

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Order sets what people or a deploy want of one service, or of all where service is empty. It is on disk before it is seen;
// on an error nothing has changed. A zero Since is now.
func (b *Board) Order(service string, a healthd.Admin) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if a.Since.IsZero() {
		a.Since = now
	}
	a.Reason, a.By = healthd.Line(a.Reason, healthd.MaxDetail), healthd.Line(a.By, healthd.MaxDetail)
	snapshot := b.Latest()
	orders := b.orders
	for _, svc := range b.Latest().Services {
		if service == "" || svc.Name == service {
			orders = orders.with(svc.Name, a)
			snapshot, _ = snapshot.Order(svc.Name, a, now)
		}
	}
	if snapshot == b.Latest() && service != "" {
		return fmt.Errorf("set %s to %s: there is no such service here", healthd.Line(service, 80), a.State)
	}
	if err := orders.save(b.dir); err != nil {
		return fmt.Errorf("set %s to %s: %w", healthd.Line(service, 80), a.State, err)
	}
	b.orders = orders
	b.publish(snapshot)
	return nil
}

// Say gives the admin word that one balancer is to hear over the agent-check about a service: Drain, Maint, or Ready where it is owed that;
// ok is false where it is to hear none. See healthd.Ledger. What the word commits us to is on disk before it is returned.
func (b *Board) Say(service string, balancer netip.Addr) (word healthd.AdminState, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.orders.Services[service]
	word, ok, ledger, changed := o.Owed.Say(keyOf(balancer), o.State, time.Now())
	if !changed {
		return word, ok, nil
	}
	o.Owed = ledger
	orders := b.orders.replace(service, o)
	if !ok { // a debt that ran out: on disk it may stay, it has run out there too
		b.orders = orders
		return word, false, nil
	}
	if err := orders.save(b.dir); err != nil {
		return healthd.Ready, false, fmt.Errorf("tell %s that %s is %s: %w", balancer, service, word, err)
	}
	b.orders = orders
	return word, ok, nil
}

// Heard notes that a balancer took the word Ready. An error means that a restart would give it for longer than needed.
func (b *Board) Heard(service string, balancer netip.Addr) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.orders.Services[service]
	ledger, changed := o.Owed.Heard(keyOf(balancer), time.Now())
	if !changed {
		return nil
	}
	o.Owed = ledger
	b.orders = b.orders.replace(service, o)
	if err := b.orders.save(b.dir); err != nil {
		return fmt.Errorf("note that %s took %s back: %w", balancer, service, err)
	}
	return nil
}

func keyOf(balancer netip.Addr) string { return balancer.WithZone("").Unmap().String() }
