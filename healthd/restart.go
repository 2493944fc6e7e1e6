package healthd

import (
	"cmp"
	"slices"
	"time"
)

// Restart gives the snapshot to begin with: the services and checks of fresh, with what old knew about those of the same name, kind and target,
// all marked stale. Old counts only if it is at most MaxStale old, and not from before another boot of the host, which stopped what was measured; nil is
// no snapshot. The instance is that of fresh; generations go on where old's ended.
func Restart(fresh, old *Snapshot, now time.Time) *Snapshot {
	if old == nil || old.Age(now) > MaxStale || old.Boot != "" && fresh.Boot != "" && old.Boot != fresh.Boot {
		old = &Snapshot{}
	}
	return carry(fresh, old, func(string, string) bool { return false }, now)
}

// Reload gives the snapshot after a change of the config: as Restart does, but the checks that are the same keep what was known as it was, and a service
// is judged anew by those it has.
func Reload(fresh, old *Snapshot, same func(service, check string) bool, now time.Time) *Snapshot {
	return carry(fresh, old, same, now)
}

func carry(fresh, old *Snapshot, same func(service, check string) bool, now time.Time) *Snapshot {
	next := *fresh
	next.At, next.Generation = now, old.Generation+1
	next.Services = slices.Clone(fresh.Services)
	slices.SortFunc(next.Services, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	for i := range next.Services {
		svc := &next.Services[i]
		svc.Checks = slices.Clone(svc.Checks)
		slices.SortFunc(svc.Checks, func(a, b Check) int { return cmp.Compare(a.Name, b.Name) })
		for j := range svc.Checks {
			svc.Checks[j].Awaited = true
		}
		svc.Generation, svc.Weight = next.Generation, fullWeight
		if before, ok := old.Service(svc.Name); ok {
			svc.remember(before, same, now)
		}
		if len(svc.Checks) == 0 { // nothing will ever be measured
			svc.Status, svc.Since, svc.Stale = Pass, now, false
		}
	}
	return &next
}

// remember takes over what was known before: of checks that are the same as it was, of others of the same kind and target as stale.
func (s *Service) remember(before *Service, same func(service, check string) bool, now time.Time) {
	known := before.Status != Unknown
	s.Status, s.Since, s.Stale = before.Status, before.Since, known
	kept := false
	for i := range s.Checks {
		c := &s.Checks[i]
		old, ok := before.Check(c.Name)
		switch {
		case !ok:
		case same(s.Name, c.Name):
			c.Verdict, c.Latency, c.Suspect = old.Verdict, old.Latency, old.Suspect && c.Shared
			c.Stale, c.Blind, c.Brought, c.Awaited = old.Stale, old.Blind, old.Brought, old.Awaited
			kept = true
		case known && old.Kind == c.Kind && old.Target == c.Target:
			c.Verdict, c.Latency, c.Suspect = old.Verdict.resumed(), old.Latency, old.Suspect && c.Shared
			c.Stale = old.Verdict.Status != Unknown
			c.Brought = c.Stale
		}
	}
	s.Weight, s.Suspect = s.weight(), s.suspects()
	if kept {
		s.judge(now)
	}
}

// Age is how long ago the snapshot was made. A snapshot from the future, after the clock was set back, is older than any limit.
func (s *Snapshot) Age(now time.Time) time.Duration {
	if age := now.Sub(s.At); age >= 0 {
		return age
	}
	return 1<<63 - 1
}
