package nginx

import (
	"strings"
)

// server reads a server block of http, stream or mail: where it listens and where its requests go.
func (w *walker) server(ctx Context, f *File, server *Directive) {
	place, listens := f.Place(server), 0
	w.each(site{f, server.Block}, func(f *File, d *Directive) {
		if d.Name() == "listen" && d.Block == nil {
			listens++
			l := parseListen(d)
			l.Context, l.Server, l.Place = ctx, place, f.Place(d)
			w.m.Listens = append(w.m.Listens, l)
		}
	})
	if listens == 0 && ctx == HTTP { // nginx as root; others get 8000
		w.m.Listens = append(w.m.Listens, Listen{Context: ctx, Server: place, Address: "*", Port: "80", Place: place})
	}
	w.proxies(ctx, site{f, server.Block})
}

// proxies finds the passes in a block and in all the blocks below it.
func (w *walker) proxies(ctx Context, s site) {
	w.each(s, func(f *File, d *Directive) {
		switch d.Name() {
		case "proxy_pass", "fastcgi_pass", "grpc_pass", "uwsgi_pass", "scgi_pass", "memcached_pass":
			if d.Block == nil {
				p := parseTarget(d.Arg(1))
				p.Context, p.Kind, p.Place = ctx, d.Name(), f.Place(d)
				w.m.Proxies = append(w.m.Proxies, p)
			}
		}
		if d.Block != nil && !freeForm(d.Name()) {
			w.proxies(ctx, site{f, d.Block})
		}
	})
}

// parseTarget reads the argument of a pass: [scheme://]host[:port][/path], where each part may hold variables.
func parseTarget(target string) Proxy {
	p := Proxy{Target: target, Host: target, Variable: strings.Contains(target, "$")}
	if _, rest, ok := strings.Cut(target, "://"); ok {
		p.Host = rest
	}
	if !strings.HasPrefix(p.Host, "unix:") {
		p.Host, _, _ = strings.Cut(p.Host, "/")
	}
	if strings.Contains(p.Host, "$") {
		p.Host = ""
	}
	return p
}

func parseListen(d *Directive) Listen {
	var l Listen
	l.Address, l.Port = splitListen(d.Arg(1))
	for _, w := range d.Words[min(2, len(d.Words)):] {
		l.Flags = append(l.Flags, w.Value)
	}
	return l
}

// splitListen reads 80, *:80, 127.0.0.1, 127.0.0.1:80, [::]:80, localhost:80 and unix:/path.
func splitListen(s string) (address, port string) {
	if strings.HasPrefix(s, "unix:") {
		return s, ""
	}
	if strings.Trim(s, "0123456789-") == "" && s != "" { // a port, or a range of ports (1.15.10)
		return "*", s
	}
	address, port = splitAddress(s)
	if port == "" {
		port = "80"
	}
	return address, port
}

// splitAddress takes the port off host:port, [v6]:port and a bare host; a port that is not there is empty.
func splitAddress(s string) (host, port string) {
	from := 0
	if strings.HasPrefix(s, "[") {
		from = max(0, strings.IndexByte(s, ']'))
	}
	if i := strings.LastIndexByte(s[from:], ':'); i >= 0 {
		return s[:from+i], s[from+i+1:]
	}
	return s, ""
}
