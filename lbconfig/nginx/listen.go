package nginx

import (
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Listen is one address that a server block accepts connections at.
type Listen struct {
	Context Context
	Server  lbconfig.Place // of the server block
	Address string         // "*", "127.0.0.1", "[::]", "localhost", "unix:/path"
	Port    string         // empty for a unix socket
	Flags   []string       // the other parameters: "ssl", "default_server", "backlog=511"
	Place   lbconfig.Place // of the directive; the server block's where it has none and nginx's default holds
}

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
