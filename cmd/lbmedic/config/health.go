package config

import (
	"net/netip"
	"time"
)

// Health is the sidecar: what is checked on this host, and where the answer is served.
type Health struct {
	Files       []string       // where the checks were read from, and what the checks that run programs refer to: those are run only where nobody else could have written any of these
	HTTP        netip.AddrPort // GET /health; default 127.0.0.1:7780; not valid (IsValid false) when the file says off
	Agent       netip.AddrPort // HAProxy agent-check; default 127.0.0.1:7781; not valid when the file says off
	GRPC        netip.AddrPort // gRPC health v1; default off: not valid
	Balancers   []netip.Prefix // whose X-Haproxy-Server-State is believed; default 127.0.0.0/8 and ::1/128
	Tokens      []string       // who sends one as a bearer token sees details; several, so that they can be changed; none: loopback only
	TokensOnly  bool           // loopback sees no details either; default false
	OnTerm      OnTerm         // default drain
	TermTimeout time.Duration  // the longest that a drain of OnTerm takes; default 30s
	DrainAs     DrainAs        // default 0%
	DrainWait   time.Duration  // how long `drain --wait` waits where no controller can confirm; default 30s
	SlowStart   time.Duration  // how long the weight takes to come back after a drain, where it has steps; default 0: at once
	Controllers *Controllers   // who knows whether a balancer has drained us; nil: nobody
	Services    []Service      // in the order of the file
}

// OnTerm says what SIGTERM does to the last word the balancers heard.
type OnTerm string

// The values of health.on_term.
const (
	OnTermDrain OnTerm = "drain" // drain first, then stop; the default
	OnTermLeave OnTerm = "leave" // stop, and leave the last word standing
)

// DrainAs is the word by which a drain of this host's service is told to HAProxy's agent-check.
type DrainAs string

// The values of health.drain_as.
const (
	DrainAsWeight DrainAs = "0%"    // the weight; the default, for it leaves the admin state to operators
	DrainAsDrain  DrainAs = "drain" // the admin state: each repeat ends an operator's maint there (HAProxy 2.2 to 3.2)
)

// Controllers are the lbmedics beside the balancers, asked over mutual TLS whether a server has drained.
type Controllers struct {
	URLs []string // https://host:port of their admin.remote; at least one
	CA   string   // file of the certificates that sign theirs, PEM
	Cert string   // file of our certificate chain
	Key  string   // file of its key
}

// Service is one application on this host.
type Service struct {
	Name      string
	Address   string         // host:port at which it serves; empty where not given: then it has no /health/by-port
	Siblings  []string       // URLs of /health/SERVICE of the other instances; empty: nobody is asked about shared dependencies
	MinWeight int            // percent: slowness lowers its weight no further; default 25
	Groups    map[string]int // how many members of a group of checks must pass; a group that is not named needs one
	Checks    []Check        // at least one, in the order of the file
}

// Check is one question asked of a service again and again.
type Check struct {
	Name    string
	Kind    string              // a kind of healthd/check
	Target  []string            // what follows the kind's name
	Options map[string][]string // its other keys, defaults filled in

	Interval time.Duration // from one start to the next; default 2s, from 10ms to 24h
	Timeout  time.Duration // for the whole check; default 1s, or half the interval where that is shorter
	Rise     int           // passes in a row that make a failing check pass; default 2, 1 to 100
	Fall     int           // failures in a row that make a passing check fail; default 3, 1 to 100
	HoldDown time.Duration // a status that got worse stays so at least this long; default 0
	Grace    time.Duration // failures do not count for so long after a start; default 0
	Damping  *Damping      // nil: none
	Latency  Latency
	Impact   Impact // default required, degrade for resources of the host
	Group    string // of checks of which some suffice; empty: none
	Shared   bool   // other instances depend on the same thing; default false
}

// Damping holds a check that flaps in its worse state: each turn for the worse adds 1 to a penalty that halves every HalfLife.
type Damping struct {
	HalfLife time.Duration // default 1m
	Suppress float64       // above this penalty the worse state is held; default 3
	Reuse    float64       // until it is below this; default 1
	Max      time.Duration // and at most so long; default 10m
}

// Latency bounds how long a passing check may take.
type Latency struct {
	Warn   time.Duration // slower than this is a warning; 0: none; always shorter than the check's timeout
	Fail   time.Duration // slower than this is slow in earnest; 0: none
	Of     string        // each result (the default), or p50, p95 or p99 of the last 128
	Impact Impact        // degrade (the default), or required: slower than Fail is a failure
}

// Impact says what a failing check does to its service.
type Impact string

// The values of impact.
const (
	ImpactRequired Impact = "required" // the service fails; the default
	ImpactDegrade  Impact = "degrade"  // the service warns
	ImpactInform   Impact = "inform"   // nothing, it is only shown
)
