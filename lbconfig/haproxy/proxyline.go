package haproxy

import (
	"strconv"
	"strings"
	"time"
)

// algorithm is the word before the parenthesis: "hdr" of "hdr(Host)".
func algorithm(balance string) string {
	name, _, _ := strings.Cut(balance, "(")
	return name
}

// proxyKeyword reads one keyword of a frontend, backend, listen or defaults section; words[0] is the keyword, and at least
// one more word follows.
type proxyKeyword func(r *reader, p *Proxy, words []Word)

var proxyKeywords = map[string]proxyKeyword{
	"mode":            func(_ *reader, p *Proxy, w []Word) { p.Mode = w[1].Text },
	"balance":         func(_ *reader, p *Proxy, w []Word) { p.Balance, p.BalanceArgs = w[1].Text, texts(w[2:]) },
	"hash-type":       func(_ *reader, p *Proxy, w []Word) { p.HashType = w[1].Text },
	"retries":         func(_ *reader, p *Proxy, w []Word) { p.Retries, _ = leadingNumber(w[1].Text) },
	"default_backend": func(_ *reader, p *Proxy, w []Word) { p.DefaultBackend = w[1].Text },
	"use_backend":     func(_ *reader, p *Proxy, w []Word) { p.UseBackends = append(p.UseBackends, w[1].Text) },
	"dispatch":        func(_ *reader, p *Proxy, _ []Word) { p.Dispatch = true },
	"force-persist":   func(_ *reader, p *Proxy, _ []Word) { p.ForcePersist = true },
	"persist":         func(_ *reader, p *Proxy, w []Word) { p.RDPPersist = strings.HasPrefix(w[1].Text, "rdp-cookie") },
	"stick": func(_ *reader, p *Proxy, w []Word) {
		switch w[1].Text {
		case "on", "match", "store-request", "store-response":
			p.Stick = true
		}
	},
	"use-server": func(r *reader, p *Proxy, w []Word) {
		p.UseServer = append(p.UseServer, UseServer{w[1].Text, strings.Join(texts(w[2:]), " "), r.place(w[0])})
	},
	"cookie": func(_ *reader, p *Proxy, w []Word) {
		p.Cookie = Cookie{Name: w[1].Text}
		for _, o := range w[2:] {
			p.Cookie.Dynamic = p.Cookie.Dynamic || o.Text == "dynamic"
		}
	},
	"load-server-state-from-file": func(_ *reader, p *Proxy, w []Word) { p.StateFile = w[1].Text },
	"tcp-check":                   func(_ *reader, p *Proxy, w []Word) { p.Check.tcp(texts(w[1:])) },
	"external-check":              externalCheck,
	"timeout":                     timeout,
	"bind":                        bind,
	"default-server":              defaultServer,
	"server":                      server,
	"server-template":             serverTemplate,
}

func (r *reader) proxyLine(words []Word, no bool) {
	p, args := r.proxy, texts(words)
	r.countsServers(words)
	switch args[0] {
	case "disabled", "enabled":
		p.Disabled = args[0] == "disabled"
		return
	case "transparent":
		p.Dispatch = !no
		return
	}
	if len(args) < 2 {
		return
	}
	switch keyword := proxyKeywords[args[0]]; {
	case args[0] == "option":
		r.option(words[1:], no)
	case args[0] == "http-check":
		p.Check.http(args[1:], no)
	case keyword != nil && !no:
		keyword(r, p, words)
	}
}

func (r *reader) option(words []Word, no bool) {
	p := r.proxy
	switch words[0].Text {
	case "redispatch":
		p.Redispatch = !no
	case "persist":
		p.Persist = !no
	case "transparent", "http_proxy":
		p.Dispatch = !no
	default:
		if !no {
			p.Check.option(texts(words))
		} else if p.Check.Kind == words[0].Text {
			p.Check.Kind = ""
		}
	}
}

func externalCheck(r *reader, p *Proxy, words []Word) {
	if len(words) < 3 {
		return
	}
	switch words[1].Text {
	case "command":
		p.Check.External.Command = words[2].Text
		r.runs("external-check command", words[2])
	case "path":
		p.Check.External.Path = words[2].Text
	}
}

func timeout(r *reader, p *Proxy, words []Word) {
	if len(words) < 3 {
		return
	}
	t := &p.Timeouts
	fields := map[string]*time.Duration{"connect": &t.Connect, "client": &t.Client, "server": &t.Server, "queue": &t.Queue,
		"http-request": &t.HTTPRequest, "http-keep-alive": &t.HTTPKeepAlive, "check": &t.Check, "tunnel": &t.Tunnel,
		"client-fin": &t.ClientFin, "server-fin": &t.ServerFin, "tarpit": &t.Tarpit}
	if field, ok := fields[words[1].Text]; ok {
		r.duration(field, words[2])
	}
}

// duration reads a time; what cannot be read leaves the field as it was, and the real program refuses the file.
func (r *reader) duration(field *time.Duration, w Word) {
	d, ok := ParseDuration(w.Text)
	if !ok {
		r.warn(w, "time", "%q is not a time", w.Text)
		return
	}
	*field = d
}

func bind(r *reader, p *Proxy, words []Word) {
	options := texts(words[2:])
	tls := false
	for _, o := range options {
		tls = tls || o == "ssl"
	}
	for spec := range strings.SplitSeq(words[1].Text, ",") {
		b, exact := parseBind(spec)
		if !exact {
			r.warn(words[1], "port", "HAProxy reads the port of %q as %d", spec, b.Port)
		}
		b.SSL, b.Options, b.Place = tls, options, r.place(words[0])
		p.Binds = append(p.Binds, b)
	}
}

func defaultServer(r *reader, p *Proxy, words []Word) { r.serverWords(&p.Settings.Server, words[1:]) }

func (r *reader) serverWords(s *Server, words []Word) {
	for _, w := range s.apply(words) {
		r.warn(w, "server-option", "the value of %q cannot be read", w.Text)
	}
}

func server(r *reader, p *Proxy, words []Word) {
	if len(words) < 3 {
		return
	}
	if s := r.oneServer(words, words[2:]); r.room(words[0]) {
		p.Servers = append(p.Servers, s)
	}
}

// maxServers bounds what all lines together can make.
const maxServers = 200_000

// room takes one server off the budget of the whole model; the first that finds none left is a problem.
func (r *reader) room(w Word) bool {
	if r.servers++; r.servers == maxServers+1 {
		r.warn(w, "bounds", "more than %d servers: those from here on are not read", maxServers)
	}
	return r.servers <= maxServers
}

// oneServer reads ADDRESS and options behind a name.
func (r *reader) oneServer(words, rest []Word) Server {
	s := r.proxy.Settings.Server
	s.Name, s.Place = words[1].Text, r.place(words[0])
	if !s.locate(rest[0].Text) {
		r.warn(rest[0], "port", "HAProxy reads the port of %q as %d", rest[0].Text, s.Port)
	}
	r.serverWords(&s, rest[1:])
	s.complete()
	return s
}

// maxTemplate bounds what one server-template line can make.
const maxTemplate = 20000

func serverTemplate(r *reader, p *Proxy, words []Word) {
	if len(words) < 4 {
		return
	}
	low, high, ranged := strings.Cut(words[2].Text, "-")
	if !ranged {
		low, high = "1", low
	}
	from, errFrom := strconv.Atoi(low)
	to, errTo := strconv.Atoi(high)
	if errFrom != nil || errTo != nil || from < 0 || to-from >= maxTemplate {
		r.warn(words[2], "server-template", "%q is not a range of at most %d servers", words[2].Text, maxTemplate)
		return
	}
	s := r.oneServer(words, words[3:])
	s.Template = s.Name
	for n := from; n <= to && r.room(words[0]); n++ {
		s.Name = s.Template + strconv.Itoa(n)
		p.Servers = append(p.Servers, s)
	}
}
