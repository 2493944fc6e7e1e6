package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd/check"
)

// rules look at more than one value at a time. They run on files with mistakes too, so a value that is wrong or
// missing is no news to them. A new rule is one function and one line here.
var rules = []func(root *node, src *source){
	saysSomething,
	timingIsPossible,
	checksCanBeMade,
	groupsHaveMembers,
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
		fail := read[time.Duration](c, "latency", "fail")
		switch {
		case timeout > 0 && fail >= timeout:
			src.errorf(c.child("latency", "fail").at, "latency.fail %s is not shorter than the timeout, %s: it would never count",
				shown(c.child("latency", "fail")), shown(c.child("timeout")))
		case fail > 0 && fail <= warn:
			src.errorf(c.child("latency", "fail").at, "latency.fail %s is not longer than latency.warn, %s",
				shown(c.child("latency", "fail")), shown(c.child("latency", "warn")))
		}
		if d := c.child("damping"); d != nil && read[float64](d, "reuse") >= read[float64](d, "suppress") && read[float64](d, "suppress") > 0 {
			src.errorf(c.keyAt["damping"], "damping.reuse %s is not below damping.suppress, %s", shown(d.child("reuse")), shown(d.child("suppress")))
		}
	}
}

// checksCanBeMade has each check built, which finds what only its kind knows. Those with a mistake in a value are left alone: their
// mistake has been told.
func checksCanBeMade(root *node, src *source) {
	for _, c := range checks(root) {
		if c.kind == "" || c.broken() {
			continue
		}
		built := buildCheck("", c)
		_, err := check.New(built.Kind, built.Target, built.Options)
		for _, err := range unjoined(err) {
			key := c.kind
			if at, ok := errors.AsType[check.KeyError](err); ok && at.Key != "" && c.child(at.Key) != nil {
				key, err = at.Key, at.Err
			}
			n, text := c.child(key), oneLine(err.Error())
			if n.hidden() {
				text = "what it stands for does not make a check of kind " + c.kind
			}
			at := n.at
			if at == (place{}) {
				at = c.child(c.kind).at
			}
			src.errorf(at, "%s: %s", key, text)
		}
	}
}

// unjoined are the errors that errors.Join joined.
func unjoined(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range many.Unwrap() {
			all = append(all, unjoined(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// groupsHaveMembers finds groups that need more members than they have, and settings for groups that no check is in.
func groupsHaveMembers(root *node, src *source) {
	for _, s := range members(root, "health", "services") {
		has := map[string]int{}
		for _, c := range members(s, "checks") {
			has[read[string](c, "group")]++
		}
		set := s.child("groups")
		if set == nil {
			continue
		}
		for _, name := range set.keys {
			if need := read[int](set, name); need > has[name] {
				src.errorf(set.fields[name].at, "group %s needs %d to pass and has %s", quote(name), need, counted(has[name], "check"))
			}
		}
	}
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
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
	for _, path := range [][]string{{"health", "http"}, {"health", "agent"}, {"health", "grpc"}, {"admin", "http"}, {"admin", "remote", "listen"}} {
		addr := read[netip.AddrPort](root, path...)
		if !addr.IsValid() || addr.Port() == 0 {
			continue
		}
		n := root.child(path...)
		name, here := strings.Join(path, "."), n.at
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
	set := root.child("health", "services")
	for name, what := range map[string]string{
		"by-port":   "/health/by-port/ is where services are found by port",
		"live":      "/health/live is MicroProfile's liveness",
		"ready":     "/health/ready is MicroProfile's readiness",
		"liveness":  "/actuator/health/liveness is the Actuator's",
		"readiness": "/actuator/health/readiness is the Actuator's",
		"started":   "/health/started is MicroProfile's start-up",
	} {
		if set.child(name) != nil {
			src.errorf(set.keyAt[name], "a service cannot be called %s: %s", quote(name), what)
		}
	}
}

// shown is a value as a message may print it.
func shown(n *node) string {
	if n.secret || n.spec.scalar.show == nil {
		return n.text
	}
	return n.spec.scalar.show(n.text)
}
