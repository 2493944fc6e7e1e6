package nginx

import "time"

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
