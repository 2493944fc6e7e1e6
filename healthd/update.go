package healthd

import (
	"slices"
	"time"
)

// Change is a new verdict for one check, with the latency of its last results.
type Change struct {
	Service, Check string
	Verdict        Verdict
	Latency        Latency
	Suspect        bool // it fails or was not measured yet, and that is not held against this instance; see Sharing
}

// Update gives the snapshot after the changes, at now. Changes for checks that are not there are dropped. The generation grows by one if
// a status, a weight, a suspicion or a mark of staleness changed, and stays if only details did.
func (s *Snapshot) Update(changes []Change, now time.Time) *Snapshot {
	next := *s
	next.At, next.Services = now, slices.Clone(s.Services)
	touched := map[string]bool{}
	for _, ch := range changes {
		svc, ok := next.Service(ch.Service)
		if !ok {
			continue
		}
		if !touched[ch.Service] {
			svc.Checks, touched[ch.Service] = slices.Clone(svc.Checks), true
		}
		if c, ok := svc.Check(ch.Check); ok {
			c.take(ch.Verdict, now)
			c.Latency, c.Suspect = ch.Latency, ch.Suspect
		}
	}
	for name := range touched {
		svc, _ := next.Service(name)
		old, _ := s.Service(name)
		svc.judge(now)
		if svc.differs(old) {
			svc.Generation, next.Generation = s.Generation+1, s.Generation+1
		}
	}
	return &next
}

// take takes a new verdict. One that Restart brought over stays stale until an outcome of this run confirms it or the
// outcomes of this run decide otherwise: what was brought over may be older than the last word before the restart.
func (c *Check) take(v Verdict, now time.Time) {
	decided := v.Status != c.Verdict.Status || v.Last.Class.Status() == v.Status
	c.Verdict, c.Awaited = v, false
	c.Brought = c.Brought && v.Last.Class == OwnFault
	c.Stale = c.Stale && !decided || c.outdated(now)
	c.Blind = c.unseen(now)
}

func (c *Check) outdated(now time.Time) bool {
	return c.Verdict.Status != Unknown && c.MaxAge > 0 && now.Sub(c.Verdict.Measured) > c.MaxAge
}

// unseen reports whether it has been outdated for longer than MaxStale: by then it is not a probe or two that could not be made.
func (c *Check) unseen(now time.Time) bool { return c.outdated(now.Add(-MaxStale)) }

// Outdate gives the snapshot with the checks marked stale or blind that were not measured for longer than they may, whether or not anything was
// reported: a prober that hangs reports nothing. It is s itself where there are none.
func (s *Snapshot) Outdate(now time.Time) *Snapshot {
	aged := func(c Check) bool { return !c.Stale && c.outdated(now) || !c.Blind && c.unseen(now) }
	next := s
	for i := range s.Services {
		if !slices.ContainsFunc(s.Services[i].Checks, aged) {
			continue
		}
		if next == s {
			copied := *s
			copied.At, copied.Services, copied.Generation = now, slices.Clone(s.Services), s.Generation+1
			next = &copied
		}
		svc := &next.Services[i]
		svc.Checks, svc.Generation = slices.Clone(svc.Checks), next.Generation
		for j := range svc.Checks {
			c := &svc.Checks[j]
			c.Stale, c.Blind = c.Stale || c.outdated(now), c.Blind || c.unseen(now)
		}
		svc.judge(now)
	}
	return next
}

// judge rolls the checks up. A status once known is never replaced by Unknown, for missing data is no failure: while a required check is
// unknown, the service is what its known checks make of it, marked stale; and what it was while no required check is known at all.
func (s *Service) judge(now time.Time) {
	s.Weight, s.Suspect = s.weight(), s.suspects()
	status := Rollup(s.Checks)
	s.Stale = false
	known, rests := Pass, false // what the known ones make of it, and whether a required one is among them
	for p := range parts(s.Checks) {
		s.Stale = s.Stale || p.stale && p.impact == Required
		if p.status != Unknown {
			known, rests = Worse(known, p.impact.means(p.status)), rests || p.impact == Required
		}
	}
	if status == Unknown && s.Status != Unknown {
		s.Stale = true
		if !rests {
			return
		}
		status = known
	}
	if status != s.Status {
		s.Status, s.Since = status, now
	}
}

func (s *Service) differs(old *Service) bool {
	return s.Status != old.Status || s.Stale != old.Stale || s.Weight != old.Weight || !slices.Equal(s.Suspect, old.Suspect) || !slices.EqualFunc(s.Checks, old.Checks, func(a, b Check) bool {
		return a.Verdict.Status == b.Verdict.Status && a.Verdict.Flap.Damped == b.Verdict.Flap.Damped && a.Stale == b.Stale && a.Blind == b.Blind && a.Brought == b.Brought && a.Awaited == b.Awaited
	})
}

// Order gives the snapshot after an order for one service; ok is false where there is no such service.
func (s *Snapshot) Order(service string, a Admin, now time.Time) (next *Snapshot, ok bool) {
	n := *s
	n.Services = slices.Clone(s.Services)
	svc, ok := n.Service(service)
	if !ok {
		return s, false
	}
	n.At = now
	n.Generation++
	svc.Admin, svc.Generation = a, n.Generation
	return &n, true
}

// suspects names the checks that fail and are not held against this instance.
func (s *Service) suspects() (names []string) {
	for i := range s.Checks {
		if c := &s.Checks[i]; c.Suspect && c.Verdict.Status == Fail && c.Impact != Inform {
			names = append(names, c.Name)
		}
	}
	return names
}
