package config

import (
	"net/netip"
	"time"
)

// rules look at more than one value at a time. They run on files with mistakes too, so a value that is wrong or
// missing is no news to them. A new rule is one function and one line here.
var rules = []func(root *node, src *source){
	saysSomething,
	timingIsPossible,
	floorStays,
	listenersDiffer,
	filesDiffer,
	namesAreFree,
}

func saysSomething(root *node, src *source) {
	if len(src.errs) == 0 && root.child("health") == nil && len(members(root, "balancers")) == 0 {
		src.errorf(place{1, 1}, "nothing to do: give it a health section beside an app, or balancers beside a load balancer")
	}
}

func timingIsPossible(root *node, src *source) {
	for _, c := range checks(root) {
		every := read[time.Duration](c, "interval")
		timeout := read[time.Duration](c, "timeout")
		warn := read[time.Duration](c, "latency", "warn")
		if every > 0 && timeout >= every {
			src.errorf(c.child("timeout").at, "timeout %s is not shorter than the interval, %s",
				shown(c.child("timeout")), shown(c.child("interval")))
		}
		if timeout > 0 && warn >= timeout {
			src.errorf(c.child("latency", "warn").at, "latency.warn %s is not shorter than the timeout, %s: it would never warn",
				shown(c.child("latency", "warn")), shown(c.child("timeout")))
		}
	}
}

// floorStays refuses a capacity floor of 0 without an end: with it automation may take out a whole farm.
func floorStays(root *node, src *source) {
	policies := []*node{root.child("policy")}
	for _, b := range members(root, "balancers") {
		policies = append(policies, b.child("policy"))
	}
	for _, p := range policies {
		floor := p.child("capacity", "min_percent")
		if floor == nil || floor.value == nil || floor.value.(int) != 0 || p.child("capacity", "no_floor_until") != nil {
			continue
		}
		src.errorf(floor.at, "min_percent 0 lets automation take out every server; "+
			"if that is meant for a while, add no_floor_until: 2026-12-31T18:00:00Z")
	}
}

// listenersDiffer finds two addresses of which only one can be bound. Port 0 is any free port.
func listenersDiffer(root *node, src *source) {
	type listener struct {
		name, text string
		addr       netip.AddrPort
		at         place
	}
	var seen []listener
	for _, path := range [][]string{{"health", "http"}, {"health", "agent"}, {"admin", "http"}} {
		addr := read[netip.AddrPort](root, path...)
		if !addr.IsValid() || addr.Port() == 0 {
			continue
		}
		n := root.child(path...)
		name, here := path[0]+"."+path[1], n.at
		for _, other := range seen {
			if !clash(addr, other.addr) {
				continue
			}
			at := here
			if at == (place{}) { // a default: the one that was written is the one to mend
				at = other.at
			}
			src.errorf(at, "%s %s and %s %s cannot both be bound; give one another port, or off", other.name, other.text, name, shown(n))
		}
		seen = append(seen, listener{name, shown(n), addr, here})
	}
}

// clash says whether binding b fails after a: the same port, and the same address or one of them standing for all.
func clash(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// filesDiffer finds a socket or config that two have: two controllers on one balancer would fight, and the admin
// socket is removed and made anew at each start.
func filesDiffer(root *node, src *source) {
	taken := map[string]string{}
	claim := func(n *node, owner string) {
		if n == nil || n.value == nil {
			return
		}
		path := n.value.(string)
		if other, twice := taken[path]; twice {
			src.errorf(n.at, "%s is taken; %s has it already", quote(shown(n)), other)
			return
		}
		taken[path] = owner
	}
	claim(root.child("admin", "socket"), "admin.socket")
	set := root.child("balancers")
	if set == nil {
		return
	}
	for _, name := range set.keys {
		b := set.fields[name]
		claim(b.child("haproxy", "socket"), "balancer "+name)
		claim(b.child("haproxy", "master_socket"), "balancer "+name)
		claim(b.child("nginx", "config"), "balancer "+name)
	}
}

// namesAreFree keeps a service from hiding a path of the sidecar.
func namesAreFree(root *node, src *source) {
	if set := root.child("health", "services"); set != nil && set.fields["by-port"] != nil {
		src.errorf(set.keyAt["by-port"], `a service cannot be called "by-port": /health/by-port/ is where services are found by port`)
	}
}

// shown is a value as a message may print it.
func shown(n *node) string {
	if n.secret || n.spec.scalar.show == nil {
		return n.text
	}
	return n.spec.scalar.show(n.text)
}
