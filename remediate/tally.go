package remediate

import (
	"cmp"
	"fmt"
	"slices"
)

// tally counts what is left of every backend that a plan may touch: the one decided about, and those whose servers go
// down with its own because they track them. It is spent while the plan grows, so that two steps of one plan never spend
// the same server.
type tally struct {
	own      string
	policy   Policy
	counts   map[string]*count
	trackers map[string][]seat // by "backend/server": the rows that track it
	seats    map[string]seat   // by "backend/server"
}

// count is one backend: active servers and backups on their own, rows that share an address as one server.
type count struct {
	backend        Backend
	active, backup Capacity
	rows           [2]int // rows that `nbsrv` counts: active, backup
}

// unit is one instance: the rows of a backend that share an address.
type unit struct {
	backup    bool
	rows      int  // that serve and that nothing is about to take out
	ejected   bool // automation has a row of it out
	returning bool // the plan gives it back
}

// seat is where a row is counted.
type seat struct {
	count   *count
	unit    *unit
	name    string // "backend/server"
	serving bool
	backup  bool
}

func newTally(v View) *tally {
	t := &tally{own: v.Backend.Name, policy: v.Policy, counts: map[string]*count{}, trackers: map[string][]seat{}, seats: map[string]seat{}}
	for _, b := range append([]Backend{v.Backend}, v.Followers...) {
		if t.counts[b.Name] != nil {
			continue
		}
		c := &count{backend: b}
		t.counts[b.Name] = c
		for _, rows := range b.units() {
			t.seatUnit(c, rows)
		}
		for _, side := range []*Capacity{&c.active, &c.backup} {
			side.Floor = t.policy.floor(side.Configured)
			side.MaxEjected = max(1, side.Configured*t.policy.MaxEjectedPercent/100)
		}
	}
	// What an order is about to take out serves no more, whether a worker has been told or not; nor does what a command of
	// unknown outcome may take out, nor what tracks either.
	for _, s := range v.Backend.Servers {
		if s.PendingOut || s.Order != nil && !s.Order.Expired(v.Now) {
			t.spend([]Server{s}, false)
		}
	}
	return t
}

func (t *tally) seatUnit(c *count, rows []Server) {
	u := &unit{backup: rows[0].Backup}
	for _, s := range rows {
		name := c.backend.Name + "/" + s.Name
		at := seat{count: c, unit: u, name: name, backup: s.Backup, serving: s.Serving()}
		if at.serving {
			u.rows++
			c.rows[at.side()]++
		}
		u.ejected = u.ejected || s.Take != nil
		t.seats[name] = at
		if s.Tracks != "" {
			t.trackers[s.Tracks] = append(t.trackers[s.Tracks], at)
		}
	}
	side := c.side(u.backup)
	side.Configured++
	if u.rows > 0 {
		side.Serving++
	}
	if u.ejected {
		side.Ejected++
	}
}

func (a seat) side() int {
	if a.backup {
		return 1
	}
	return 0
}

func (c *count) side(backup bool) *Capacity {
	if backup {
		return &c.backup
	}
	return &c.active
}

// capacity is the side of the own backend that s belongs to.
func (t *tally) capacity(s Server) *Capacity { return t.counts[t.own].side(s.Backup) }

func (t *tally) unit(s Server) *unit { return t.seats[t.own+"/"+s.Name].unit }

// gone are the rows that go when the given ones do: they themselves and whatever tracks them, directly or not.
func (t *tally) gone(rows []Server) (out []seat) {
	seen := map[string]bool{}
	var add func(seat)
	add = func(a seat) {
		if seen[a.name] {
			return
		}
		seen[a.name] = true
		out = append(out, a)
		for _, tracker := range t.trackers[a.name] {
			add(tracker)
		}
	}
	for _, s := range rows {
		add(t.seats[t.own+"/"+s.Name])
	}
	return out
}

// loss is what one backend loses.
type loss struct {
	units [2]int // active, backup
	rows  [2]int
}

func (t *tally) losses(gone []seat) map[*count]loss {
	left := map[*unit]int{}
	out := map[*count]loss{}
	for _, a := range gone {
		l := out[a.count]
		if a.serving {
			l.rows[a.side()]++
			if _, known := left[a.unit]; !known {
				left[a.unit] = a.unit.rows
			}
			left[a.unit]--
			if left[a.unit] == 0 {
				l.units[a.side()]++
			}
		}
		out[a.count] = l
	}
	return out
}

// refuse says what keeps rows of the own backend from going: S1 here and in every backend that follows, or a number in
// the config. It names the own backend first, then the others in the order of their names.
func (t *tally) refuse(rows []Server) (Reason, string) {
	losses := t.losses(t.gone(rows))
	hit := make([]*count, 0, len(losses))
	for c := range losses {
		hit = append(hit, c)
	}
	slices.SortFunc(hit, func(a, b *count) int {
		return cmp.Or(cmp.Compare(later(a.backend.Name, t.own), later(b.backend.Name, t.own)), cmp.Compare(a.backend.Name, b.backend.Name))
	})
	for _, c := range hit {
		if reason, detail := t.refuseLoss(c, losses[c], rows[0].Backup); reason != "" {
			return reason, detail
		}
	}
	return "", ""
}

func later(name, own string) int {
	if name == own {
		return 0
	}
	return 1
}

func (t *tally) refuseLoss(c *count, l loss, ownSide bool) (Reason, string) {
	own := c.backend.Name == t.own
	for i, side := range []*Capacity{&c.active, &c.backup} {
		// A row that does not count as serving, as in slowstart, may go only while nothing is missing.
		short := l.units[i] > 0 && side.Serving-l.units[i] < side.Floor || own && ownSide == (i == 1) && side.Deficit() > 0
		switch {
		case short && own:
			return HoldFloor, side.String()
		case short:
			return HoldFollowerFloor, fmt.Sprintf("%s goes down with it: %s", c.backend.Name, side)
		}
	}
	if !own && c.backend.MapHash && !t.policy.AllowMapHash && l.rows != [2]int{} {
		return HoldMapHash, fmt.Sprintf("%s goes down with it, and its map-based hash would move the keys of healthy servers; policy.hash: allow accepts that", c.backend.Name)
	}
	before, after := usable(c.rows), usable([2]int{c.rows[0] - l.rows[0], c.rows[1] - l.rows[1]})
	for _, th := range c.backend.Thresholds {
		for n := before; n != after; {
			if n < after {
				n++
			} else {
				n--
			}
			if th.crossed(before, n) {
				return HoldThreshold, th.because(c.backend.Name)
			}
		}
	}
	return "", ""
}

// usable is what `nbsrv` gives: the active rows that serve, or the backups where none does.
func usable(rows [2]int) int {
	if rows[0] > 0 {
		return rows[0]
	}
	return rows[1]
}

// spend takes rows of the own backend out of the count, with all that goes with them.
func (t *tally) spend(rows []Server, ejects bool) {
	gone := t.gone(rows)
	for c, l := range t.losses(gone) {
		c.active.Serving -= l.units[0]
		c.backup.Serving -= l.units[1]
		c.rows[0] -= l.rows[0]
		c.rows[1] -= l.rows[1]
	}
	for _, a := range gone {
		if a.serving {
			a.unit.rows--
			a.serving = false
			t.reseat(a)
		}
	}
	for _, s := range rows {
		if u := t.unit(s); ejects && !u.ejected {
			u.ejected = true
			t.capacity(s).Ejected++
		}
	}
}

func (t *tally) reseat(a seat) {
	t.seats[a.name] = a
	for _, list := range t.trackers {
		for i := range list {
			if list[i].name == a.name {
				list[i] = a
			}
		}
	}
}

// giveBack counts the instance of s as serving again, once.
func (t *tally) giveBack(s Server) {
	if u := t.unit(s); !u.returning {
		u.returning = true
		t.capacity(s).Serving++
	}
}
