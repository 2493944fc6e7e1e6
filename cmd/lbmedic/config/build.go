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
			Remote: buildRemote(root.child("admin", "remote")),
			HTTP:   read[netip.AddrPort](root, "admin", "http"),
		},
		SidecarToken: read[string](root, "sidecar_token"),
		State:        read[string](root, "state"),
		shown:        root,
	}
	if h := root.child("health"); h != nil {
		c.Health = buildHealth(h)
		c.Health.Files = programFiles(file, root)
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

// programFiles are the file and what its checks of kind exec refer to; none where there is no file.
func programFiles(file string, root *node) []string {
	if file == "" {
		return nil
	}
	files := []string{file}
	for _, c := range checks(root) {
		if c.kind == "exec" {
			files = append(files, c.referred()...)
		}
	}
	return files
}

func buildRemote(n *node) *Remote {
	if n == nil {
		return nil
	}
	return &Remote{
		Listen: read[netip.AddrPort](n, "listen"), Cert: read[string](n, "cert"), Key: read[string](n, "key"),
		ClientCA: read[string](n, "client_ca"), Allow: readAll[string](n, "allow"),
	}
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
