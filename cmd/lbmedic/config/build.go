package config

import (
	"net/netip"
	"time"
)

// build makes the values that the program works with from a complete tree without mistakes.
func build(file string, root *node) *Config {
	c := &Config{
		File:   file,
		Policy: buildPolicy(root.child("policy")),
		Admin: Admin{
			Socket: read[string](root, "admin", "socket"),
			HTTP:   read[netip.AddrPort](root, "admin", "http"),
		},
		State: read[string](root, "state"),
		shown: root,
	}
	if h := root.child("health"); h != nil {
		c.Health = buildHealth(h)
	}
	if set := root.child("balancers"); set != nil {
		for _, name := range set.keys {
			c.Balancers = append(c.Balancers, buildBalancer(name, set.fields[name]))
		}
	}
	if root.child("consul") != nil {
		c.Consul = &Consul{
			Address:   read[string](root, "consul", "address"),
			TokenFile: read[string](root, "consul", "token_file"),
		}
	}
	return c
}

func buildHealth(n *node) *Health {
	h := &Health{
		HTTP:      read[netip.AddrPort](n, "http"),
		Agent:     read[netip.AddrPort](n, "agent"),
		Balancers: readAll[netip.Prefix](n, "balancers"),
		OnTerm:    OnTerm(read[string](n, "on_term")),
	}
	if set := n.child("services"); set != nil {
		for _, name := range set.keys {
			h.Services = append(h.Services, buildService(name, set.fields[name]))
		}
	}
	return h
}

func buildService(name string, n *node) Service {
	s := Service{Name: name, Address: read[string](n, "address")}
	set := n.child("checks")
	for _, name := range set.keys {
		s.Checks = append(s.Checks, buildCheck(name, set.fields[name]))
	}
	return s
}

func buildCheck(name string, n *node) Check {
	c := Check{
		Name:     name,
		Interval: read[time.Duration](n, "interval"),
		Timeout:  read[time.Duration](n, "timeout"),
		Rise:     read[int](n, "rise"),
		Fall:     read[int](n, "fall"),
		Latency:  Latency{Warn: read[time.Duration](n, "latency", "warn")},
		Impact:   Impact(read[string](n, "impact")),
		Shared:   read[bool](n, "shared"),
	}
	switch {
	case n.child("http") != nil:
		c.HTTP = &HTTPCheck{
			URL:    read[string](n, "http"),
			Method: read[string](n, "method"),
			Host:   read[string](n, "host"),
			Status: readAll[StatusRange](n, "status"),
			Expect: read[string](n, "expect"),
		}
	case n.child("tcp") != nil:
		c.TCP = &TCPCheck{Address: read[string](n, "tcp")}
	}
	return c
}

func buildBalancer(name string, n *node) Balancer {
	b := Balancer{Name: name, Sidecar: read[SidecarURL](n, "sidecar"), Policy: buildPolicy(n.child("policy"))}
	if h := n.child("haproxy"); h != nil {
		b.HAProxy = &HAProxy{
			Config:       readAll[string](h, "config"),
			Socket:       read[string](h, "socket"),
			MasterSocket: read[string](h, "master_socket"),
			Program:      read[string](h, "program"),
			Args:         readAll[string](h, "args"),
		}
	}
	if x := n.child("nginx"); x != nil {
		b.Nginx = &Nginx{
			Config:  read[string](x, "config"),
			Prefix:  read[string](x, "prefix"),
			Program: read[string](x, "program"),
			PID:     read[string](x, "pid"),
			Edit:    read[bool](x, "edit"),
		}
	}
	return b
}

func buildPolicy(n *node) Policy {
	return Policy{
		Mode: Mode(read[string](n, "mode")),
		Capacity: Capacity{
			MinPercent:        read[int](n, "capacity", "min_percent"),
			MaxEjectedPercent: read[int](n, "capacity", "max_ejected_percent"),
			MinServers:        read[int](n, "capacity", "min_servers"),
			NoFloorUntil:      read[time.Time](n, "capacity", "no_floor_until"),
		},
		Hash: Hash(read[string](n, "hash")),
		Reload: Reload{
			Spacing:       read[time.Duration](n, "reload", "spacing"),
			MaxOldWorkers: read[int](n, "reload", "max_old_workers"),
		},
	}
}
