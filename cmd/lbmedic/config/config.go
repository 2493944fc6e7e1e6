// Package config reads lbmedic.yaml: one table describes every key, and every mistake in a file is reported at once,
// each with its line, its column and what to write instead. What comes out are plain values with all defaults filled
// in; the parts of the program take their own settings from them and never see the file.
package config

import (
	"net/netip"
	"time"
)

// Config is a whole configuration, checked, with every default in place.
type Config struct {
	File         string     // where it was read from; empty for Default
	Health       *Health    // the sidecar beside an app; nil where the file has no health section
	Balancers    []Balancer // in the order of the file; empty: this host has no controller, or discovery finds them
	Policy       Policy     // what holds where a balancer does not override it
	SidecarToken string     // sidecars on other hosts are asked with it; empty: they say no more than their status
	Consul       *Consul    // nil: everything works without
	Admin        Admin
	State        string // directory of the journal and of what must survive a restart; default /var/lib/lbmedic

	shown *node // the effective configuration as `config show` prints it
}

// Settled is what a program keeps that has taken its settings: without services, whose checks are built, and without what YAML and JSON print, so
// neither can be asked for. Of 10,000 checks that is 85 MB.
func (c *Config) Settled() *Config {
	kept := *c
	kept.shown = nil
	if c.Health != nil {
		health := *c.Health
		health.Services = nil
		kept.Health = &health
	}
	return &kept
}

// Balancer is one load balancer on this host. Exactly one of HAProxy and Nginx is set.
type Balancer struct {
	Name    string
	HAProxy *HAProxy
	Nginx   *Nginx
	Sidecar SidecarURL // where a server's sidecar is asked; empty: at its check port, if that is not its own port
	Policy  Policy     // the file's policy with this balancer's overrides
}

// HAProxy says where one HAProxy is found.
type HAProxy struct {
	Config       []string // files or directories, in the order of its -f arguments; at least one
	Socket       string   // its `stats socket … level admin`
	MasterSocket string   // its -S socket; empty: none
	Program      string   // default /usr/sbin/haproxy
	Args         []string // more arguments for `haproxy -c`, those that the running instance has; default none
}

// Nginx says where one nginx is found.
type Nginx struct {
	Config  string // default /etc/nginx/nginx.conf
	Prefix  string // its -p; empty: the one compiled in
	Program string // default /usr/sbin/nginx
	PID     string // its pid file; empty: the one its config names
	Edit    bool   // the operator allows edits of the config in place; default false
}

// Policy says what automation may do.
type Policy struct {
	Mode     Mode // default observe
	Capacity Capacity
	Hash     Hash // default refuse
	Reload   Reload
}

// Mode says whether automation acts.
type Mode string

// The values of policy.mode.
const (
	ModeObserve Mode = "observe" // decide and explain, never act; the default
	ModeEnforce Mode = "enforce" // act
)

// Hash says whether automation may take servers out of backends whose algorithm maps keys to servers: each take
// there moves the keys of others too.
type Hash string

// The values of policy.hash.
const (
	HashRefuse Hash = "refuse" // the default
	HashAllow  Hash = "allow"
)

// Capacity is what automation always leaves standing.
type Capacity struct {
	MinPercent        int       // of a backend's servers that keep serving; default 50; 0 only with NoFloorUntil
	MaxEjectedPercent int       // of a backend's servers out by automation at a time, but always one; default 10
	MinServers        int       // that keep serving; 0: unset, which means 1, or 2 from three servers up
	NoFloorUntil      time.Time // until then MinPercent may be 0; zero: never
}

// DefaultMinPercent is Capacity.MinPercent where the file says nothing, and what holds again after NoFloorUntil.
const DefaultMinPercent = 50

// MinPercentAt is the floor in force at a time: an override that has run out counts no more.
func (c Capacity) MinPercentAt(now time.Time) int {
	if c.MinPercent == 0 && !now.Before(c.NoFloorUntil) {
		return DefaultMinPercent
	}
	return c.MinPercent
}

// Reload bounds reloads by automation. Automation reloads nothing in this version.
type Reload struct {
	Spacing       time.Duration // between two of them; default 30s, at least 1s
	MaxOldWorkers int           // none while more old workers than this are alive; default 4
}

// Consul says how the local agent is reached. Nothing uses it in this version.
type Consul struct {
	Address   string // host:port, or http(s)://host:port; default 127.0.0.1:8500
	TokenFile string // read when the program starts; empty: no token
}

// Admin is how people and the command line reach the daemon.
type Admin struct {
	Socket string         // unix socket; default /run/lbmedic/admin.sock
	Remote *Remote        // the same over TCP with mutual TLS; nil: off
	HTTP   netip.AddrPort // dashboard and /metrics, which nothing serves in this version; default 127.0.0.1:7783; not valid when the file says off
}

// Remote is the admin API over TCP: TLS 1.3, and nobody without a certificate that ClientCA has signed and Allow names.
type Remote struct {
	Listen   netip.AddrPort
	Cert     string   // file of the server's certificate chain, PEM; read again when it changes
	Key      string   // file of its key
	ClientCA string   // file of the certificates that sign the clients'
	Allow    []string // names in the clients' certificates (SAN) that may ask; at least one
}

// PolicyFor is the policy of the balancer of that name, or the common one where there is none.
func (c *Config) PolicyFor(balancer string) Policy {
	for _, b := range c.Balancers {
		if b.Name == balancer {
			return b.Policy
		}
	}
	return c.Policy
}
