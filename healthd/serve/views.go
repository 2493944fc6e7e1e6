package serve

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is kept of balancers. Beyond them the one that has been silent longest makes room.
const (
	maxBalancers = 256
	maxRows      = 64 // of one balancer
)

// forgetRow is how long a row without steps forbids them to the rows beside it, for it may be gone from the balancer's config.
const forgetRow = time.Hour

// Views keeps what balancers say with their health checks. Its methods are safe for concurrent use, and those of nil know nothing.
type Views struct {
	believed []netip.Prefix

	mu   sync.Mutex
	rows map[netip.Addr]map[string]View // by name
	told map[tongue]int                 // percent of the weight, where it was less than all
}

// tongue is one balancer hearing about one service.
type tongue struct {
	balancer netip.Addr
	service  string
}

// NewViews keeps what callers from these networks say; an empty list believes nobody.
func NewViews(believed []netip.Prefix) *Views {
	return &Views{believed: believed, rows: map[netip.Addr]map[string]View{}, told: map[tongue]int{}}
}

// Believe changes whom to believe, after a change of the config. What others said before is forgotten.
func (v *Views) Believe(believed []netip.Prefix) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.believed = believed
	for balancer := range v.rows {
		if !v.believes(balancer) {
			delete(v.rows, balancer)
		}
	}
}

func (v *Views) believes(a netip.Addr) bool {
	return slices.ContainsFunc(v.believed, func(p netip.Prefix) bool { return p.Contains(a) })
}

// stateHeader is in the form that net/http gives it.
const stateHeader = "X-Haproxy-Server-State"

// hear reads the header of a health check. Who is no connection of Run is not believed.
func (v *Views) hear(r *http.Request, caller *conn) {
	if v == nil || caller == nil {
		return
	}
	text := r.Header[stateHeader]
	if len(text) != 1 || Forwarded(func(name string) bool { return r.Header[name] != nil }) {
		return // a proxy passes on what strangers send
	}
	v.Hear(caller.peer, serviceOf(r.URL.Path), text[0], time.Now())
}

// serviceOf is the service whose health a path asks for; empty where that is not told by its name.
func serviceOf(path string) string {
	name, ok := strings.CutPrefix(path, "/health/")
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	return name
}

// Hear takes what a balancer said at now while asking for a service's health. What cannot be read, or comes from elsewhere, changes nothing.
func (v *Views) Hear(balancer netip.Addr, service, text string, now time.Time) {
	balancer = balancer.WithZone("").Unmap()
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.believes(balancer) {
		return
	}
	seen, err := parseView(text)
	if err != nil {
		return
	}
	seen.Balancer, seen.At = balancer, now
	if named(service) {
		seen.Service = service
	}
	rows := v.rows[balancer]
	if rows == nil {
		v.makeRoom()
		rows = map[string]View{}
		v.rows[balancer] = rows
	}
	old, known := rows[seen.Name]
	if !known && len(rows) >= maxRows {
		delete(rows, oldest(rows).Name)
	}
	rows[seen.Name] = old.Next(seen, v.percent(balancer, seen.Service))
}

// percent is what the balancer was told of the service's weight; of all services, the least.
func (v *Views) percent(balancer netip.Addr, service string) int {
	least := 100
	for t, percent := range v.told {
		if t.balancer == balancer && (service == "" || t.service == service) {
			least = min(least, percent)
		}
	}
	return least
}

func (v *Views) makeRoom() {
	if len(v.rows) < maxBalancers {
		return
	}
	var silent View
	for _, rows := range v.rows {
		if last := latest(rows); silent.At.IsZero() || last.At.Before(silent.At) {
			silent = last
		}
	}
	delete(v.rows, silent.Balancer)
}

func oldest(rows map[string]View) (o View) {
	for _, row := range rows {
		if o.At.IsZero() || row.At.Before(o.At) {
			o = row
		}
	}
	return o
}

func latest(rows map[string]View) (l View) {
	for _, row := range rows {
		if row.At.After(l.At) {
			l = row
		}
	}
	return l
}

// tell notes what a balancer hears of a service's weight, in percent; 100 is all of it.
func (v *Views) tell(balancer netip.Addr, service string, percent int) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	t := tongue{balancer, service}
	_, known := v.told[t]
	switch {
	case percent >= 100:
		delete(v.told, t)
	case known || len(v.told) < maxBalancers*maxRows:
		v.told[t] = percent
	}
}

// asker is who asks the agent about what.
type asker struct {
	balancer netip.Addr
	service  string
	row      string // BACKEND/SERVER, which agent-send may give; empty: not told
	alone    bool   // the service is the only one that the agent speaks of
}

// steps reports whether the asker may be told a percentage of the weight. One agent answers for every row that lists the service, all from
// one address, so each row that was heard within the hour must allow it, and one of the service at least must be known; where the asker
// names its row, that one alone decides. A row in maintenance is silent and counts all the same, for it will be back.
func (v *Views) steps(a asker, now time.Time) bool {
	if v == nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	rows := v.rows[a.balancer.WithZone("").Unmap()]
	if a.row != "" {
		one, ok := rows[a.row]
		return ok && one.Steps()
	}
	known := false
	for _, one := range rows {
		switch {
		case one.Service != "" && one.Service != a.service:
		case one.Steps():
			known = known || one.Service != "" || a.alone // who asks for the whole instance may be of any service
		case now.Sub(one.At) < forgetRow:
			return false
		}
	}
	return known
}

// lost is the row that a balancer keeps at weight 0 though it was told of no less than the whole weight, or empty. It takes two checks in a row, for the
// first may have been under way.
func (v *Views) lost(a asker, now time.Time) string {
	if v == nil {
		return ""
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, row := range v.rows[a.balancer.WithZone("").Unmap()] {
		mine := a.row == name || a.row == "" && (row.Service == a.service || row.Service == "" && a.alone)
		if mine && row.zeros >= 2 && row.Presence(now) == Present {
			return name
		}
	}
	return ""
}

// All are the views, by balancer and name.
func (v *Views) All() []View {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	var all []View
	for _, rows := range v.rows {
		for _, row := range rows {
			all = append(all, row)
		}
	}
	v.mu.Unlock()
	slices.SortFunc(all, func(a, b View) int {
		return cmp.Or(a.Balancer.Compare(b.Balancer), strings.Compare(a.Name, b.Name))
	})
	return all
}
