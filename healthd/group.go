package healthd

import "iter"

// part is what counts as one for a service: a check of no group, or all checks of one.
//
// A group passes while at least Need of its checks pass, warns while at least Need pass or warn, is unknown while what is not known may
// make up for the rest, and fails otherwise. Its impact is the gravest of theirs, its Need the greatest, at least 1 and at most all.
type part struct {
	impact Impact
	status Status
	stale  bool   // its status would be another if only what was measured lately counted
	steps  uint8  // how slow it is: a group, as slow as the slowest of its Need quickest checks, of those that pass or warn
	blame  *Check // the first of its gravest checks
}

// parts gives the parts of a service's checks, in the order of their first checks.
func parts(checks []Check) iter.Seq[part] {
	return func(yield func(part) bool) {
		for i := range checks {
			c := &checks[i]
			p := part{c.Impact, c.counts(), c.Stale, min(c.Verdict.Pace.Steps, maxSteps), c}
			switch {
			case c.Group == "":
			case firstOf(c.Group, checks) == i:
				p = together(c.Group, checks)
			default:
				continue
			}
			if !yield(p) {
				return
			}
		}
	}
}

// counts is the status that counts. A suspect check degrades its service: it neither fails it nor keeps it from starting. So does one that nobody could
// look at for long: that is no failure, and no more to rely on.
func (c *Check) counts() Status {
	status := c.Verdict.Status
	if c.Suspect && (status == Fail || status == Unknown) || c.Blind && status == Pass && c.Impact == Required {
		return Warn
	}
	return status
}

func firstOf(group string, checks []Check) int {
	for i := range checks {
		if checks[i].Group == group {
			return i
		}
	}
	return -1
}

// tally counts the checks of a group by their status.
type tally [Fail + 1]int

func (n tally) status(need int) Status {
	switch {
	case n[Pass] >= need:
		return Pass
	case n[Pass]+n[Warn] >= need:
		return Warn
	case n[Pass]+n[Warn]+n[Unknown] >= need:
		return Unknown
	}
	return Fail
}

func together(group string, checks []Check) part {
	var all, fresh tally
	var paces [maxSteps + 1]int
	p := part{impact: Inform}
	members, need, well := 0, 1, 0
	for i := range checks {
		c := &checks[i]
		if c.Group != group {
			continue
		}
		members++
		need = max(need, c.Need)
		p.impact = min(p.impact, c.Impact)
		status := min(c.counts(), Fail)
		all[status]++
		if c.Verdict.Status == Pass || c.Verdict.Status == Warn { // the others answer nobody
			well++
			paces[min(c.Verdict.Pace.Steps, maxSteps)]++
		}
		if c.Stale {
			status = Unknown
		}
		fresh[status]++
		if p.blame == nil || c.Verdict.Status > p.blame.Verdict.Status {
			p.blame = c
		}
	}
	need = min(need, members)
	p.status = all.status(need)
	p.stale = fresh.status(need) != p.status
	for quick := paces[0]; quick < min(need, well); quick += paces[p.steps] {
		p.steps++
	}
	return p
}
