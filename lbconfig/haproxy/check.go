package haproxy

import (
	"slices"
	"strings"
)

// Check is how a backend checks the servers that have `check`.
type Check struct {
	Kind     string // "" (a connection is enough), "httpchk", "tcp-check", "ssl-hello-chk", "mysql-check", "external-check"…
	HTTP     HTTPCheck
	TCP      [][]string // tcp-check rules as words, without "tcp-check"
	External External

	ownHTTP, ownTCP bool // this section has rules of its own; those of its defaults are gone
}

// External is what `external-check` runs.
type External struct{ Command, Path string }

// HTTPCheck is an HTTP health check as HAProxy sends it.
type HTTPCheck struct {
	// Method, URI and Version of the first request. Defaults "OPTIONS", "/" and "HTTP/1.0". Method is empty where nothing is
	// sent at all: the section has http-check rules without `send` and its `option httpchk` stands in a defaults section (seen
	// on 2.2 to 3.2: such a check times out).
	Method, URI, Version string
	Headers              []Header // of the first request, Host included
	Body                 string
	Sends                int // how many requests the rules send; more than 1 is a sequence
	Expect               []Expect
	Connects             []Connect
	DisableOn404         bool
	SendState            bool

	rules int // send rules read so far
}

// Header is one header of a check.
type Header struct{ Name, Value string }

// Expect is one http-check expect rule.
type Expect struct {
	Not     bool
	Match   string // "status", "string", "rstatus", "rstring", "hdr", "fhdr"
	Pattern string // the rest of the words, joined by blanks
}

// Connect is one http-check connect rule.
type Connect struct {
	Port      string // a number, or an expression
	Addr      string
	SSL       bool
	SNI       string
	ALPN      string
	SendProxy bool
	Default   bool // as the server line says
}

// Host is the Host header of the check; empty where it has none.
func (h *HTTPCheck) Host() string {
	for _, header := range h.Headers {
		if strings.EqualFold(header.Name, "host") {
			return header.Value
		}
	}
	return ""
}

// option reads `option KIND …` where KIND is a kind of check, and reports whether it is one. It begins a new set of rules:
// nothing of a defaults section's check remains (seen on 2.2 to 3.2).
func (c *Check) option(args []string) bool {
	switch args[0] {
	case "httpchk":
		c.Kind = "httpchk"
		c.begin()
		c.HTTP.request(args[1:])
	case "tcp-check", "ssl-hello-chk", "smtpchk", "mysql-check", "pgsql-check", "redis-check", "ldap-check", "spop-check", "external-check":
		c.Kind = args[0]
	default:
		return false
	}
	return true
}

// begin drops what was inherited before the section's first rule of its own.
func (c *Check) begin() {
	if !c.ownHTTP {
		c.HTTP = HTTPCheck{DisableOn404: c.HTTP.DisableOn404, SendState: c.HTTP.SendState}
		c.ownHTTP = true
	}
}

// request reads `option httpchk`, which overrides an earlier send rule but keeps its headers (2.2 drops them):
// "[METHOD] URI [VERSION [HOST]]", HOST from 3.2 on; before 3.0 headers and body may hide behind the version.
func (h *HTTPCheck) request(args []string) {
	h.Method, h.URI, h.Version = "OPTIONS", "/", "HTTP/1.0"
	h.Sends = max(h.Sends, 1)
	switch len(args) {
	case 0:
	case 1:
		h.URI = args[0]
	default:
		h.Method, h.URI = args[0], args[1]
	}
	if len(args) > 2 {
		version, rest, _ := strings.Cut(args[2], "\r\n")
		h.Version = version
		head, body, _ := strings.Cut(rest, "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			if name, value, ok := strings.Cut(line, ":"); ok {
				h.Headers = append(h.Headers, Header{name, strings.TrimSpace(value)})
			}
		}
		h.Body = body
	}
	if len(args) > 3 {
		h.Headers = append(h.Headers, Header{"host", args[3]})
	}
}

// http reads an http-check rule. disable-on-404 and send-state are switches and leave inherited rules alone.
func (c *Check) http(args []string, no bool) {
	switch args[0] {
	case "disable-on-404":
		c.HTTP.DisableOn404 = !no
		return
	case "send-state":
		c.HTTP.SendState = !no
		return
	}
	c.begin()
	switch args[0] {
	case "send":
		c.HTTP.send(args[1:])
	case "expect":
		c.HTTP.expect(args[1:])
	case "connect":
		c.HTTP.connect(args[1:])
	}
}

func (h *HTTPCheck) send(args []string) {
	if h.Method == "" {
		h.Method, h.URI, h.Version = "OPTIONS", "/", "HTTP/1.0"
	}
	if h.sent(); h.Sends > 1 {
		return
	}
	for i := 0; i+1 < len(args); i += 2 {
		switch v := args[i+1]; args[i] {
		case "meth":
			h.Method = v
		case "uri", "uri-lf":
			h.URI = v
		case "ver":
			h.Version = v
		case "body", "body-lf":
			h.Body = v
		case "hdr":
			if i+2 < len(args) {
				h.Headers = append(h.Headers, Header{v, args[i+2]})
				i++
			}
		}
	}
}

// sent counts a send rule. The first one is the same request as that of `option httpchk`.
func (h *HTTPCheck) sent() {
	h.rules++
	h.Sends = max(h.Sends, h.rules)
}

// expectOptions take one word before the match.
var expectOptions = []string{"min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code"}

func (h *HTTPCheck) expect(args []string) {
	var e Expect
	for len(args) > 1 && slices.Contains(expectOptions, args[0]) {
		args = args[2:]
	}
	if len(args) > 0 && args[0] == "!" {
		e.Not, args = true, args[1:]
	}
	if len(args) == 0 {
		return
	}
	e.Match, e.Pattern = args[0], strings.Join(args[1:], " ")
	h.Expect = append(h.Expect, e)
}

func (h *HTTPCheck) connect(args []string) {
	var c Connect
	for i := 0; i < len(args); i++ {
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		switch args[i] {
		case "port":
			c.Port = value
			i++
		case "addr":
			c.Addr = value
			i++
		case "sni":
			c.SNI = value
			i++
		case "alpn":
			c.ALPN = value
			i++
		case "comment", "proto":
			i++
		case "ssl":
			c.SSL = true
		case "send-proxy":
			c.SendProxy = true
		case "default":
			c.Default = true
		}
	}
	h.Connects = append(h.Connects, c)
}

// tcp reads a tcp-check rule.
func (c *Check) tcp(args []string) {
	if !c.ownTCP {
		c.TCP, c.ownTCP = nil, true
	}
	c.TCP = append(c.TCP, args)
}
