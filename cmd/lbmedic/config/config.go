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
	File      string     // where it was read from; empty for Default
	Health    *Health    // the sidecar beside an app; nil where the file has no health section
	Balancers []Balancer // in the order of the file; empty: this host has no controller, or discovery finds them
	Policy    Policy     // what holds where a balancer does not override it
	Consul    *Consul    // nil: everything works without
	Admin     Admin
	State     string // directory of the journal and of what must survive a restart; default /var/lib/lbmedic

	shown *node // the effective configuration as `config show` prints it
}

// Health is the sidecar: what is checked on this host, and where the answer is served.
type Health struct {
	HTTP      netip.AddrPort // GET /health; default 127.0.0.1:7780; not valid (IsValid false) when the file says off
	Agent     netip.AddrPort // HAProxy agent-check; default 127.0.0.1:7781; not valid when the file says off
	Balancers []netip.Prefix // whose X-Haproxy-Server-State is believed; default 127.0.0.0/8 and ::1/128
	OnTerm    OnTerm         // default drain
	Services  []Service      // in the order of the file
}

// OnTerm says what SIGTERM does to the last word the balancers heard.
type OnTerm string

// The values of health.on_term.
const (
	OnTermDrain OnTerm = "drain" // drain first, then stop; the default
	OnTermLeave OnTerm = "leave" // stop, and leave the last word standing
)

// Service is one application on this host.
type Service struct {
	Name    string
	Address string  // host:port at which it serves; empty where not given: then it has no /health/by-port
	Checks  []Check // at least one, in the order of the file
}

// Check is one question asked of a service again and again. Exactly one of the kinds (HTTP, TCP) is set.
type Check struct {
	Name string
	HTTP *HTTPCheck
	TCP  *TCPCheck

	Interval time.Duration // from one start to the next; default 2s, from 10ms to 24h
	Timeout  time.Duration // for the whole check; default 1s, or half the interval where that is shorter
	Rise     int           // passes in a row that make a failing check pass; default 2, 1 to 100
	Fall     int           // failures in a row that make a passing check fail; default 3, 1 to 100
	Latency  Latency
	Impact   Impact // default required
	Shared   bool   // other instances depend on the same thing; default false
}

// Kind is the key that names the check's kind in the file.
func (c Check) Kind() string {
	if c.HTTP != nil {
		return "http"
	}
	return "tcp"
}

// Latency bounds how long a passing check may take.
type Latency struct {
	Warn time.Duration // a slower pass is a warning; 0: none; always shorter than the check's timeout
}

// Impact says what a failing check does to its service.
type Impact string

// The values of impact.
const (
	ImpactRequired Impact = "required" // the service fails; the default
	ImpactDegrade  Impact = "degrade"  // the service warns
	ImpactInform   Impact = "inform"   // nothing, it is only shown
)

// HTTPCheck asks a URL.
type HTTPCheck struct {
	URL    string        // http or https, with a host, without a fragment
	Method string        // GET (default), HEAD or OPTIONS
	Host   string        // Host header and TLS server name; empty: the URL's
	Status []StatusRange // what passes; default 200-399
	Expect string        // text the body must contain; empty: the body does not matter
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ From, To int }

// TCPCheck opens a connection and closes it.
type TCPCheck struct {
	Address string // host:port
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
	HTTP   netip.AddrPort // dashboard and /metrics, which nothing serves in this version; default 127.0.0.1:7783; not valid when the file says off
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
