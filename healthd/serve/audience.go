package serve

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// audience decides how much is told.
type audience uint8

const (
	stranger  audience = iota // the status, and the names of failing shared dependencies
	insider                   // everything
	hurried                   // an insider who reads no more than MaxBrief: what is not well, gravest first
	audiences                 // how many there are
)

// MaxBrief is the longest body, in bytes, for who asks with ?brief, and for strangers always: Consul cuts off what is beyond.
const MaxBrief = 4 << 10

// forwarders are the headers that a proxy adds: its callers come from elsewhere, whatever address it has itself.
var forwarders = []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "Via"}

// audience is insider for who holds a token, and for loopback callers, unless a proxy may speak for somebody else: it says so in a
// header, or it speaks HTTP/1.0 as nginx does by default (1.18 to 1.26). They ask for this host by an address or a local name: a browser
// that was led here by somebody's DNS asks by theirs.
func (h *HTTP) audience(c *conn, r *http.Request) audience {
	if h.tokens.Held(r.Header["Authorization"]) {
		return insider
	}
	if h.tokensOnly || c == nil || !c.local || !r.ProtoAtLeast(1, 1) || !isLocalName(r.Host) {
		return stranger
	}
	if Forwarded(func(name string) bool { return r.Header[name] != nil }) {
		return stranger
	}
	return insider
}

// Forwarded reports whether any header is there that a proxy adds. It asks for each by its name in the form that net/http gives it.
func Forwarded(there func(name string) bool) bool { return slices.ContainsFunc(forwarders, there) }

// isLocalName takes host[:port]: an address, a name without dots as /etc/hosts has them, or anything below localhost.
func isLocalName(host string) bool {
	if strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(host[1:], "]")
	} else if name, _, ok := strings.Cut(host, ":"); ok {
		host = name
	}
	host = strings.TrimSuffix(host, ".")
	if !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
