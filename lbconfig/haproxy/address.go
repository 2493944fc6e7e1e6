package haproxy

import (
	"strconv"
	"strings"
)

// address is what stands before the options of a server, a bind line or a stats socket.
type address struct {
	family string // before @
	host   string // or path, or descriptor
	path   bool   // host is the path of a socket
	port   string // as written, without the colon
}

// parseAddress splits "[FAMILY@]HOST[:PORT]". The port stands behind the last colon that no bracket follows, so that a bare
// IPv6 address loses its last group to it, as in HAProxy.
func parseAddress(spec string) address {
	var a address
	if family, rest, ok := strings.Cut(spec, "@"); ok && !strings.ContainsAny(family, "/:[") {
		a.family, spec = family, rest
	}
	switch {
	case a.family == "unix" || a.family == "uxst" || a.family == "uxdg" || a.family == "" && strings.HasPrefix(spec, "/"):
		a.host, a.path = spec, true
		return a
	case strings.HasPrefix(a.family, "abns") || a.family == "fd" || a.family == "sockpair":
		a.host = spec
		return a
	}
	a.host = spec
	if i := strings.LastIndexAny(spec, ":]"); i >= 0 && spec[i] == ':' {
		a.host, a.port = spec[:i], spec[i+1:]
	}
	a.host = strings.TrimSuffix(strings.TrimPrefix(a.host, "["), "]")
	return a
}

// leadingNumber reads a port as HAProxy's atol does: digits up to the first other character. `-c` of 2.6 accepts "1808x" so.
func leadingNumber(s string) (n int, exact bool) {
	digits := s
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = s[:i]
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0, false
	}
	return n, len(digits) == len(s)
}

// locate sets where the server is; exact is false where the port is not a plain number.
func (s *Server) locate(spec string) (exact bool) {
	a := parseAddress(spec)
	s.Family, s.Address, s.Port, s.MapPorts = a.family, a.host, 0, false
	if a.path || a.host != "" && a.family != "" && (strings.HasPrefix(a.family, "abns") || a.family == "fd" || a.family == "sockpair") {
		return true
	}
	switch {
	case a.port == "":
		s.MapPorts = true
		return true
	case a.port[0] == '+' || a.port[0] == '-':
		s.MapPorts = true
		s.Port, exact = leadingNumber(a.port[1:])
		if a.port[0] == '-' {
			s.Port = -s.Port
		}
		return exact
	}
	s.Port, exact = leadingNumber(a.port)
	return exact
}

// parseBind reads one address of a bind line.
func parseBind(spec string) (b Bind, exact bool) {
	a := parseAddress(spec)
	b = Bind{Spec: spec, Family: a.family, Host: a.host}
	if a.path {
		b.Host, b.Path = "", a.host
		return b, true
	}
	if a.port == "" {
		return b, true
	}
	from, to, ranged := strings.Cut(a.port, "-")
	b.Port, exact = leadingNumber(from)
	b.PortEnd = b.Port
	if ranged {
		var exactEnd bool
		b.PortEnd, exactEnd = leadingNumber(to)
		exact = exact && exactEnd
	}
	return b, exact
}
