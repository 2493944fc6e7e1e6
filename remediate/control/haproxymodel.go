package control

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
	"github.com/lbmedic/lbmedic/remediate"
)

// backendOf is what the configuration says of a backend. Where it could not be read, nothing is taken for harmless:
// the backend takes orders only.
func backendOf(name string, m *haproxy.Model, unread string) remediate.Backend {
	b := remediate.Backend{Name: name}
	switch {
	case m == nil:
		b.OrdersOnly = "HAProxy's configuration cannot be read, so what a take would do is not known" + because(unread)
		return b
	case m.Backend(name) == nil:
		b.OrdersOnly = "HAProxy's configuration has no such backend any more, so what a take would do is not known"
		return b
	}
	b.MapHash = m.Backend(name).MapHash()
	for _, t := range m.Thresholds {
		if t.Backend == name {
			b.Thresholds = append(b.Thresholds, remediate.Threshold{Op: t.Operator, Low: t.Low, High: t.High,
				Place: fmt.Sprintf("%s:%d", t.Place.File, t.Place.Line)})
		}
	}
	return b
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// persistent reports whether clients may be bound to the server even at weight 0.
func persistent(m *haproxy.Model, backend, server string) bool {
	if m == nil || m.Backend(backend) == nil {
		return true
	}
	p := m.Backend(backend)
	if p.Stick || p.ForcePersist || p.RDPPersist || p.Cookie.Dynamic {
		return true
	}
	if s := p.Server(server); s == nil || p.Cookie.Name != "" && s.Cookie != "" {
		return true
	}
	for _, u := range p.UseServer {
		if u.Server == server || strings.Contains(u.Server, "%[") {
			return true
		}
	}
	return false
}

// sidecar is where the server's sidecar is asked: by the operator's template, or at its check port if that is not the
// server's own port, with what the check asks.
func (h *HAProxy) sidecar(m *haproxy.Model, backend string, row remediate.Server) string {
	host, port, err := net.SplitHostPort(row.Address)
	if err != nil {
		return ""
	}
	if h.Sidecar != nil {
		return h.Sidecar(host, port, row.Name, backend)
	}
	if m == nil || m.Backend(backend) == nil {
		return ""
	}
	p := m.Backend(backend)
	s := p.Server(row.Name)
	if s == nil || !s.Check || s.CheckPort == 0 || strconv.Itoa(s.CheckPort) == port {
		return ""
	}
	if s.CheckAddr != "" {
		host = s.CheckAddr
	}
	uri := p.Check.HTTP.URI
	if !strings.HasPrefix(uri, "/") {
		uri = "/health"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(s.CheckPort)) + uri
}
