package nginx

import (
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

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
