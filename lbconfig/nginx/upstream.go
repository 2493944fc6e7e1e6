package nginx

import (
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Upstream is a named group of servers.
type Upstream struct {
	Name      string
	Context   Context
	Place     lbconfig.Place
	Algorithm string // "round_robin" where none is named; hash, ip_hash, least_conn, least_time, random
	Zone      string // name of its shared memory; empty where each worker counts for itself
	Keepalive int    // idle connections kept per worker; -1 where the directive is absent
	Servers   []Server
}

// Server is one server directive of an upstream.
type Server struct {
	Address     string // as written, decoded
	Host        string // without the port; "unix:/path" for a socket
	Port        string // empty for a unix socket and for a service
	Weight      int
	MaxFails    int
	FailTimeout time.Duration
	MaxConns    int // 0: no bound
	SlowStart   time.Duration
	Backup      bool
	Down        bool
	Drain       bool // from nginx 1.29.6, before that only in the commercial one
	Resolve     bool
	Service     string

	File      *File
	Directive *Directive
	Params    []Param // the words behind the address, in the order of the file
	Shared    bool    // its file is included more than once: an edit would touch every place
}

// Param is one word behind a server's address.
type Param struct {
	Name, Value string // "weight", "5"; Value is empty for a flag
	Span        lbconfig.Span
}

// Name is how a person names the server: address:port, with the port nginx takes where none is written.
func (s *Server) Name() string {
	if s.Port == "" {
		return s.Host
	}
	return s.Host + ":" + s.Port
}

// Place says where the server's directive begins.
func (s *Server) Place() lbconfig.Place { return s.File.Place(s.Directive) }

// Serves tells whether nginx sends it new requests. Its health at run time is another matter.
func (s *Server) Serves() bool { return !s.Down && !s.Drain }

func (w *walker) upstream(ctx Context, f *File, d *Directive) {
	u := Upstream{Name: d.Arg(1), Context: ctx, Place: f.Place(d), Algorithm: "round_robin", Keepalive: -1}
	w.each(site{f, d.Block}, func(f *File, d *Directive) {
		switch d.Name() {
		case "server":
			u.Servers = append(u.Servers, w.upstreamServer(ctx, f, d))
		case "hash", "ip_hash", "least_conn", "least_time", "random":
			u.Algorithm = d.Name()
		case "zone":
			u.Zone = d.Arg(1)
		case "keepalive":
			if n, err := strconv.Atoi(d.Arg(1)); err == nil {
				u.Keepalive = n
			}
		}
	})
	w.m.Upstreams = append(w.m.Upstreams, u)
}

func (w *walker) upstreamServer(ctx Context, f *File, d *Directive) Server {
	s := Server{Address: d.Arg(1), Weight: 1, MaxFails: 1, FailTimeout: 10 * time.Second,
		File: f, Directive: d, Shared: w.c.Times(f) > 1}
	if strings.HasPrefix(s.Address, "unix:") {
		s.Host = s.Address
	} else {
		s.Host, s.Port = splitAddress(s.Address)
	}
	for _, word := range d.Words[min(2, len(d.Words)):] {
		p := Param{Span: word.Span}
		p.Name, p.Value, _ = strings.Cut(word.Value, "=")
		s.Params = append(s.Params, p)
		s.set(p)
	}
	if s.Port == "" && ctx == HTTP && s.Service == "" && s.Host == s.Address && !strings.HasPrefix(s.Host, "unix:") {
		s.Port = "80"
	}
	return s
}

// set takes one parameter in. A value that is no number is what nginx refuses, and leaves the default.
func (s *Server) set(p Param) {
	number := func(into *int) {
		if n, err := strconv.Atoi(p.Value); err == nil {
			*into = n
		}
	}
	duration := func(into *time.Duration) {
		if d, ok := ParseTime(p.Value); ok {
			*into = d
		}
	}
	switch p.Name {
	case "weight":
		number(&s.Weight)
	case "max_fails":
		number(&s.MaxFails)
	case "max_conns":
		number(&s.MaxConns)
	case "fail_timeout":
		duration(&s.FailTimeout)
	case "slow_start":
		duration(&s.SlowStart)
	case "service":
		s.Service = p.Value
	case "backup":
		s.Backup = true
	case "down":
		s.Down = true
	case "drain":
		s.Drain = true
	case "resolve":
		s.Resolve = true
	}
}
