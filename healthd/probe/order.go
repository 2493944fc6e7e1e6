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
	now := time.Now()
	if a.Since.IsZero() {
		a.Since = now
	}
	a.Reason, a.By = healthd.Line(a.Reason, healthd.MaxDetail), healthd.Line(a.By, healthd.MaxDetail)
	var names []string
	for _, svc := range b.Latest().Services {
		if service == "" || svc.Name == service {
			names = append(names, svc.Name)
		}
	}
	if len(names) == 0 && service != "" {
		return fmt.Errorf("set %s to %s: there is no such service here", healthd.Line(service, 80), a.State)
	}
	err := b.orders.write(0, func(o orders) orders {
		for _, name := range names {
			o = o.with(name, a)
		}
		return o
	}, func(apply func()) { // a reload reads the orders under the same lock
		b.mu.Lock()
		defer b.mu.Unlock()
		apply()
		snapshot := b.Latest()
		for _, name := range names {
			snapshot, _ = snapshot.Order(name, a, now)
		}
		b.publish(snapshot)
	})
	if err != nil {
		return fmt.Errorf("set %s to %s: %w", healthd.Line(service, 80), a.State, err)
	}
	return nil
}

// Say gives the admin word that one balancer is to hear over the agent-check about a service: Drain, Maint, or Ready where it is owed that;
// ok is false where it is to hear none. Row is its BACKEND/SERVER, where it tells. See healthd.Ledger. What the word commits us to is on disk before
// it is returned; who heard it before does not wait for that.
func (b *Board) Say(service string, balancer netip.Addr, row string) (word healthd.AdminState, ok bool, err error) {
	save, now := false, time.Now()
	say := func(os orders) orders {
		o := os.Services[service]
		var ledger healthd.Ledger
		word, ok, ledger, save = o.Owed.Say(keyOf(balancer, row), o.State, now)
		if len(ledger) == 0 && len(o.Owed) == 0 {
			return os
		}
		o.Owed = ledger
		return os.replace(service, o)
	}
	b.orders.change(func(os orders) orders {
		if next := say(os); !save {
			return next
		}
		return os
	})
	if !save {
		return word, ok, nil
	}
	if err := b.orders.write(patience, say, atOnce); err != nil {
		return healthd.Ready, false, fmt.Errorf("tell %s that %s is %s: %w", balancer, service, word, err)
	}
	return word, ok, nil
}

// Offer has a balancer be owed Ready even if nobody knows that it heard of a drain. Offered reports whether that is why it is owed.
func (b *Board) Offer(service string, balancer netip.Addr, row string) (offered bool) {
	b.orders.change(func(os orders) orders {
		o := os.Services[service]
		o.Owed, offered = o.Owed.Offer(keyOf(balancer, row), time.Now())
		return os.replace(service, o)
	})
	return offered
}

// Heard notes that a balancer took the word Ready. An error means that a restart would give it for longer than needed.
func (b *Board) Heard(service string, balancer netip.Addr, row string) error {
	changed := false
	b.orders.change(func(os orders) orders {
		o := os.Services[service]
		if o.Owed, changed = o.Owed.Heard(keyOf(balancer, row), time.Now()); !changed {
			return os
		}
		return os.replace(service, o)
	})
	if !changed {
		return nil
	}
	if err := b.orders.save(); err != nil {
		return fmt.Errorf("note that %s took %s back: %w", balancer, service, err)
	}
	return nil
}

func keyOf(balancer netip.Addr, row string) string {
	return healthd.KeyOf(balancer.WithZone("").Unmap().String(), row)
}
