package probe

import (
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Replace changes what is served to other services, after a change of the config. Checks that are the same keep their history; what is known of others
// of the same name, kind and target is marked stale until it is measured again. Orders stand.
func (b *Board) Replace(services []Service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.flush(now)
	old, before := b.Latest(), b.checks
	kept := map[key]*record{}
	for _, svc := range services {
		for _, c := range svc.Checks {
			k := key{svc.Name, c.Name}
			if r := before[k]; r != nil && c.Same != "" && r.same == c.Same {
				kept[k] = r
			}
		}
	}
	same := func(service, check string) bool { return kept[key{service, check}] != nil }
	first := fresh(old.Instance, services)
	first.Boot = old.Boot
	b.begin(healthd.Reload(first, old, same, now), services, before, now)
	for k, r := range kept {
		b.checks[k].keep(r)
	}
}

// begin publishes a first snapshot with the orders that stand. Before are the records of the config before.
func (b *Board) begin(s *healthd.Snapshot, services []Service, before map[key]*record, now time.Time) {
	b.checks, b.pending, b.shared = map[key]*record{}, nil, nil
	words := map[string]map[string]healthd.Word{}
	for _, svc := range services {
		for _, c := range svc.Checks {
			k, r := key{svc.Name, c.Name}, newRecord(c)
			b.checks[k] = r
			if r.dependency != "" {
				b.shared, words[r.dependency] = append(b.shared, k), b.ear.words[r.dependency]
				if words[r.dependency] == nil {
					words[r.dependency] = map[string]healthd.Word{}
				}
			}
		}
	}
	b.ear.words = words
	for _, svc := range s.Services {
		for _, c := range svc.Checks {
			k := key{svc.Name, c.Name}
			b.checks[k].begin(&c, before[k], now)
		}
		if o, ok := b.orders.get().Services[svc.Name]; ok {
			s, _ = s.Order(svc.Name, o.Admin, now)
		}
	}
	b.publish(s)
}
