package nginx

import (
	"time"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Context is the part of nginx that an upstream or a listener belongs to.
type Context string

// The contexts that carry traffic.
const (
	HTTP   Context = "http"
	Stream Context = "stream"
	Mail   Context = "mail"
)

// Model is what a configuration means, as far as keeping its servers in service needs it. Defaults that nginx would
// fill in are filled in; what the file leaves to the build (an absent pid or error_log) is empty.
type Model struct {
	Upstreams             []Upstream
	Listens               []Listen
	Proxies               []Proxy
	WorkerShutdownTimeout time.Duration // 0: old workers live as long as their last connection
	PIDFile               string
	ErrorLog              string // the first error_log of the main context
	User                  string
	LoadModules           []string
}

// Meaning reads the model out of the closure. It understands what nginx would accept; of a broken configuration it
// gives what it can.
func (c *Closure) Meaning() *Model {
	m := &Model{}
	if c.Main == nil {
		return m
	}
	w := walker{c: c, m: m}
	w.main(site{c.Main, &c.Main.Root})
	for i := range m.Proxies {
		m.Proxies[i].Upstream = m.upstreamOf(&m.Proxies[i])
	}
	return m
}

// site is a block in its file.
type site struct {
	file  *File
	block *Block
}

// each calls visit for every directive of a block as nginx sees it: includes replaced by what they pull in.
func (w *walker) each(s site, visit func(f *File, d *Directive)) {
	w.eachWithin(s, 0, visit)
}

func (w *walker) eachWithin(s site, depth int, visit func(f *File, d *Directive)) {
	for _, d := range s.block.Directives {
		if w.steps++; w.steps > maxSteps || depth > MaxIncludeDepth {
			return
		}
		if d.Block != nil || d.Name() != "include" {
			visit(s.file, d)
			continue
		}
		for _, f := range w.c.Pulled(d) {
			w.eachWithin(site{f, &f.Root}, depth+1, visit)
		}
	}
}

// maxSteps bounds the directives visited, counting one as often as its file is included.
const maxSteps = 1 << 22

type walker struct {
	c     *Closure
	m     *Model
	steps int
}

func (w *walker) main(s site) {
	w.each(s, func(f *File, d *Directive) {
		switch d.Name() {
		case "pid":
			w.m.PIDFile = d.Arg(1)
		case "error_log":
			if w.m.ErrorLog == "" {
				w.m.ErrorLog = d.Arg(1)
			}
		case "user":
			w.m.User = d.Arg(1)
		case "load_module":
			w.m.LoadModules = append(w.m.LoadModules, d.Arg(1))
		case "worker_shutdown_timeout":
			w.m.WorkerShutdownTimeout, _ = ParseTime(d.Arg(1)) // what is no time, nginx refuses
		case "http", "stream", "mail":
			if d.Block != nil {
				w.traffic(Context(d.Name()), site{f, d.Block})
			}
		}
	})
}

func (w *walker) traffic(ctx Context, s site) {
	w.each(s, func(f *File, d *Directive) {
		switch {
		case d.Block == nil:
		case d.Name() == "upstream":
			w.upstream(ctx, f, d)
		case d.Name() == "server":
			w.server(ctx, f, d)
		}
	})
}

// upstreamOf finds the upstream that a proxy names: in the same context, regardless of case, as nginx compares.
func (m *Model) upstreamOf(p *Proxy) string {
	for _, u := range m.Upstreams {
		if u.Context == p.Context && equalFold(u.Name, p.Host) {
			return u.Name
		}
	}
	return ""
}

// equalFold compares as nginx's ngx_strncasecmp does: ASCII letters only.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(ch byte) byte {
	if ch >= 'A' && ch <= 'Z' {
		return ch + 'a' - 'A'
	}
	return ch
}

// Listen is one address that a server block accepts connections at.
type Listen struct {
	Context Context
	Server  lbconfig.Place // of the server block
	Address string         // "*", "127.0.0.1", "[::]", "localhost", "unix:/path"
	Port    string         // empty for a unix socket
	Flags   []string       // the other parameters: "ssl", "default_server", "backlog=511"
	Place   lbconfig.Place // of the directive; the server block's where it has none and nginx's default holds
}

// Proxy is one place from where requests go to servers.
type Proxy struct {
	Context  Context
	Kind     string // proxy_pass, fastcgi_pass, grpc_pass, uwsgi_pass, scgi_pass, memcached_pass
	Target   string // as written
	Host     string // the target's host, with its port where it has one; empty where only a variable tells
	Upstream string // the name of the upstream it is; empty where it is an address or a variable
	Variable bool   // the target holds a variable
	Place    lbconfig.Place
}
