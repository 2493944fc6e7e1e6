package haproxy

import (
	"time"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Model is what a configuration means: every default filled in, every server-template expanded.
type Model struct {
	Global     Global
	Proxies    []Proxy            // in the order of the files
	Thresholds []Threshold        // where the configuration counts usable servers itself
	Unsure     []lbconfig.Problem // what was assumed because it could not be known, severity info
}

// Proxy is one frontend, backend or listen section.
type Proxy struct {
	Kind  string // "frontend", "backend" or "listen"
	Name  string
	Place lbconfig.Place
	Settings
	Binds          []Bind
	Servers        []Server
	Stick          bool        // a stick on, match, store-request or store-response rule
	UseServer      []UseServer // in order
	ForcePersist   bool        // a force-persist rule
	DefaultBackend string
	UseBackends    []string // as written; a log-format expression where the backend is computed

	index map[string]int // name to place in Servers, the first of that name; nil before the section ends
}

// HasServers reports whether the proxy is a backend or a listen section.
func (p *Proxy) HasServers() bool { return p.Kind != "frontend" }

// Backends are the sections that can hold servers.
func (m *Model) Backends() []*Proxy {
	var out []*Proxy
	for i := range m.Proxies {
		if m.Proxies[i].HasServers() {
			out = append(out, &m.Proxies[i])
		}
	}
	return out
}

// Backend finds a backend or listen section by name; nil where there is none.
func (m *Model) Backend(name string) *Proxy {
	for i := range m.Proxies {
		if p := &m.Proxies[i]; p.Name == name && p.HasServers() {
			return p
		}
	}
	return nil
}

// Server finds a server by name; nil where there is none.
func (p *Proxy) Server(name string) *Server {
	if p.index != nil {
		if i, ok := p.index[name]; ok {
			return &p.Servers[i]
		}
		return nil
	}
	for i := range p.Servers {
		if p.Servers[i].Name == name {
			return &p.Servers[i]
		}
	}
	return nil
}

// number makes Server independent of how many servers there are: a look at HAProxy asks for each of its rows.
func (p *Proxy) number() {
	p.index = make(map[string]int, len(p.Servers))
	for i := range p.Servers {
		if _, ok := p.index[p.Servers[i].Name]; !ok {
			p.index[p.Servers[i].Name] = i
		}
	}
}

// Settings are what a defaults section hands down.
type Settings struct {
	Defaults    string   // name of the defaults section used; empty for an unnamed or none
	Mode        string   // "tcp" (the default), "http", "log", "spop"…
	Balance     string   // algorithm: "roundrobin" (the default), "leastconn", "source", "hdr(Host)"…
	BalanceArgs []string // what follows the algorithm
	HashType    string   // "map-based" (the default) or "consistent"
	Cookie      Cookie
	RDPPersist  bool // persist rdp-cookie
	Persist     bool // option persist: persistent users stay with a server that is DOWN
	Redispatch  bool // option redispatch
	Retries     int  // default 3
	Disabled    bool // the whole section
	Check       Check
	Timeouts    Timeouts
	StateFile   string // load-server-state-from-file: "none" (the default), "local" or "global"
	Server      Server // default-server: what a server line begins with
	Dispatch    bool   // dispatch, transparent or option http_proxy: there are other ways out than the servers

	counts []Threshold // of a defaults section, where each backend that uses it counts its own servers
}

// MapHash reports whether taking one server out moves the users of others: a hash algorithm with a map-based table.
func (s *Settings) MapHash() bool {
	switch algorithm(s.Balance) {
	case "source", "uri", "url_param", "hdr", "rdp-cookie", "hash":
		return s.HashType == "map-based"
	}
	return false
}

// FineWeights reports whether the algorithm takes weights other than 0 and 100 % at run time.
func (s *Settings) FineWeights() bool { return algorithm(s.Balance) != "static-rr" && !s.MapHash() }

// Cookie is the persistence cookie of a backend. It binds users to the servers that have a value of their own.
type Cookie struct {
	Name    string // empty where there is none
	Dynamic bool   // every server gets a value
}

// Timeouts of a proxy; zero where none is set.
type Timeouts struct {
	Connect, Client, Server, Queue, HTTPRequest, HTTPKeepAlive, Check, Tunnel, ClientFin, ServerFin, Tarpit time.Duration
}

// UseServer is a use-server rule.
type UseServer struct {
	Server    string
	Condition string // "if …" or "unless …"; empty where there is none
	Place     lbconfig.Place
}

// Bind is one address that a proxy listens on.
type Bind struct {
	Spec          string // as written: "10.0.0.1:80", ":443", "/run/x.sock", "quic4@:443"
	Family        string // the prefix before @, else empty
	Host          string // empty or "*" means every address
	Port, PortEnd int    // equal where it is one port; 0 for a unix socket or an inherited descriptor
	Path          string // of a unix socket
	SSL           bool
	Options       []string // the words behind the address
	Place         lbconfig.Place
}

// Global is the global section.
type Global struct {
	HardStopAfter   time.Duration // 0 means never
	ServerStateFile string
	ServerStateBase string
	NbThread        int // 0 where not named
	Chroot          string
	User, Group     string
	Node, LocalPeer string
	PIDFile         string
	MaxConn         int
	MasterWorker    bool
	StatsSockets    []StatsSocket
	StatsTimeout    time.Duration // default 10 s
	StatsMaxConn    int           // default 10
	Runs            []Run         // code that validation or the running process executes
}

// StatsSocket is an address of the runtime API.
type StatsSocket struct {
	Address  string // "/run/haproxy/admin.sock", "ipv4@127.0.0.1:9999"
	Path     string // of a unix socket, else empty
	Mode     string // "660"; empty where not named
	Level    string // "operator" is the default
	ExposeFD bool   // expose-fd listeners
	User     string
	Group    string
	Place    lbconfig.Place
}

// Run is a directive that executes code: lua-load already does so during `haproxy -c`.
type Run struct {
	Directive string // "lua-load", "external-check command", "program"…
	Path      string
	Place     lbconfig.Place
}

// Threshold is one comparison of nbsrv(BACKEND): the configuration changes what it does when that many servers are usable.
// Where it uses nbsrv in another way, or asks srv_is_up of one server, Operator is empty.
type Threshold struct {
	Proxy    string // the section that holds it, or that inherits it from a defaults section
	ACL      string // name of the ACL; empty in an anonymous one
	Backend  string
	Operator string // "lt", "le", "eq", "ge", "gt"; empty where the comparison could not be read
	Low      int    // eq may have a range; with the others Low and High are the same
	High     int
	Place    lbconfig.Place
}

// Holds reports whether the comparison is true while n servers are usable.
func (t Threshold) Holds(n int) bool {
	switch t.Operator {
	case "lt":
		return n < t.Low
	case "le":
		return n <= t.Low
	case "gt":
		return n > t.Low
	case "ge":
		return n >= t.Low
	default:
		return t.Low <= n && n <= t.High
	}
}

// Crossed reports whether going from one number of usable servers to another changes the outcome. One that could not be
// read counts as crossed.
func (t Threshold) Crossed(from, to int) bool {
	return t.Operator == "" || t.Holds(from) != t.Holds(to)
}
