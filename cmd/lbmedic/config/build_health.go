package config

import (
	"net/netip"
	"time"
)

func buildHealth(n *node) *Health {
	h := &Health{
		HTTP:        read[netip.AddrPort](n, "http"),
		Agent:       read[netip.AddrPort](n, "agent"),
		GRPC:        read[netip.AddrPort](n, "grpc"),
		Balancers:   readAll[netip.Prefix](n, "balancers"),
		Tokens:      readAll[string](n, "tokens"),
		TokensOnly:  read[bool](n, "tokens_only"),
		OnTerm:      OnTerm(read[string](n, "on_term")),
		TermTimeout: read[time.Duration](n, "term_timeout"),
		DrainAs:     DrainAs(read[string](n, "drain_as")),
		DrainWait:   read[time.Duration](n, "drain_wait"),
		SlowStart:   read[time.Duration](n, "slow_start"),
	}
	if c := n.child("controllers"); c != nil {
		h.Controllers = &Controllers{URLs: readAll[string](c, "urls"), CA: read[string](c, "ca"), Cert: read[string](c, "cert"), Key: read[string](c, "key")}
	}
	if set := n.child("services"); set != nil {
		for _, name := range set.keys {
			h.Services = append(h.Services, buildService(name, set.fields[name]))
		}
	}
	return h
}

func buildService(name string, n *node) Service {
	s := Service{
		Name:      name,
		Address:   read[string](n, "address"),
		Siblings:  readAll[string](n, "siblings"),
		MinWeight: read[int](n, "min_weight"),
	}
	if set := n.child("groups"); set != nil && len(set.keys) > 0 {
		s.Groups = map[string]int{}
		for _, name := range set.keys {
			s.Groups[name] = read[int](set, name)
		}
	}
	set := n.child("checks")
	for _, name := range set.keys {
		s.Checks = append(s.Checks, buildCheck(name, set.fields[name]))
	}
	return s
}

func buildCheck(name string, n *node) Check {
	c := Check{
		Name:     name,
		Kind:     n.kind,
		Target:   n.child(n.kind).texts(),
		Interval: read[time.Duration](n, "interval"),
		Timeout:  read[time.Duration](n, "timeout"),
		Rise:     read[int](n, "rise"),
		Fall:     read[int](n, "fall"),
		HoldDown: read[time.Duration](n, "hold_down"),
		Grace:    read[time.Duration](n, "grace"),
		Latency: Latency{
			Warn:   read[time.Duration](n, "latency", "warn"),
			Fail:   read[time.Duration](n, "latency", "fail"),
			Of:     read[string](n, "latency", "of"),
			Impact: Impact(read[string](n, "latency", "impact")),
		},
		Impact: Impact(read[string](n, "impact")),
		Group:  read[string](n, "group"),
		Shared: read[bool](n, "shared"),
	}
	for _, f := range n.spec.variants[n.kind] {
		if has := n.child(f.key); has != nil && f.key != n.kind {
			if c.Options == nil {
				c.Options = map[string][]string{}
			}
			c.Options[f.key] = has.texts()
		}
	}
	if d := n.child("damping"); d != nil {
		c.Damping = &Damping{
			HalfLife: read[time.Duration](d, "half_life"),
			Suppress: read[float64](d, "suppress"),
			Reuse:    read[float64](d, "reuse"),
			Max:      read[time.Duration](d, "max"),
		}
	}
	return c
}
