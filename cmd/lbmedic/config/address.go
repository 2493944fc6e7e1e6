package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// listen is an address to bind. A name is refused: which of its addresses would be bound is anybody's guess. So is a
// port alone: opening a port to the world is written out.
var listen = &scalar{
	noun: "an address to listen on such as 127.0.0.1:7780, or off",
	json: map[string]any{"type": "string", "pattern": `^(off|.+:[0-9]{1,5})$`},
	parse: func(text string) (any, string, bool) {
		if text == "off" {
			return netip.AddrPort{}, "", true
		}
		if strings.HasPrefix(text, ":") {
			return nil, "names no address; put 127.0.0.1 before it for this host only, or 0.0.0.0 for everybody", false
		}
		if strings.HasPrefix(text, "localhost:") {
			return nil, "is a name; write 127.0.0.1 instead", false
		}
		addr, err := netip.ParseAddrPort(text)
		return addr, "", err == nil
	},
}

var hostLabel = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

// isHost says whether s is an IP address or a host name (RFC 1123, and the underscore that people use).
func isHost(s string) bool {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.IsValid()
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	return true
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func parseHostPort(text string) (any, string, bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		if isHost(text) {
			return nil, "has no port; write host:port", false
		}
		return nil, "", false
	}
	if host == "" {
		return nil, "names no host; put 127.0.0.1 before it for this host", false
	}
	if !isPort(port) {
		return nil, "has no valid port; from 1 to 65535", false
	}
	return text, "", isHost(host)
}

var hostPort = &scalar{
	noun:  "an address such as 127.0.0.1:8080",
	json:  map[string]any{"type": "string", "pattern": `^.+:[0-9]{1,5}$`},
	parse: parseHostPort,
}

// hostName is a Host header: a name or an address, with a port or without.
var hostName = &scalar{
	noun: "a host name such as www.example.org",
	json: map[string]any{"type": "string", "minLength": 1},
	parse: func(text string) (any, string, bool) {
		_, _, withPort := parseHostPort(text)
		return text, "", withPort || isHost(text)
	},
}

// agentAddress is where Consul listens.
var agentAddress = &scalar{
	noun: "an address such as 127.0.0.1:8500 or https://consul:8501",
	json: map[string]any{"type": "string", "minLength": 1},
	parse: func(text string) (any, string, bool) {
		if strings.Contains(text, "://") {
			return parseURL(text)
		}
		return parseHostPort(text)
	},
	show: hideSecret,
}

func parseURL(text string) (any, string, bool) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, "", false
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "must begin with http:// or https://", false
	case u.Hostname() == "":
		return nil, "names no host", false
	case !isHost(u.Hostname()):
		return nil, "has no valid host", false
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !isPort(u.Port()):
		return nil, "has no valid port; from 1 to 65535", false
	case u.Fragment != "":
		return nil, "has a fragment, which no server ever sees; remove it from # on", false
	}
	return text, "", true
}

var webURL = &scalar{
	noun:  "a URL such as http://127.0.0.1:8080/healthz",
	json:  map[string]any{"type": "string", "pattern": `^https?://`},
	parse: parseURL,
	show:  hideSecret,
}

// maxSocket is how long the path of a unix socket may be: sun_path of unix(7) less its final zero byte.
const maxSocket = 107

func parsePath(text string) (any, string, bool) {
	switch {
	case !filepath.IsAbs(text):
		return nil, "is not an absolute path; begin it with /", false
	case strings.ContainsFunc(text, unicode.IsControl):
		return nil, "has control characters in it", false
	case len(text) > 4095:
		return nil, "is too long for a path; at most 4095 bytes", false
	}
	return text, "", true
}

var absPath = &scalar{
	noun:  "an absolute path",
	json:  map[string]any{"type": "string", "pattern": "^/"},
	parse: parsePath,
}

var socketPath = &scalar{
	noun: "an absolute path",
	json: map[string]any{"type": "string", "pattern": "^/", "maxLength": maxSocket},
	parse: func(text string) (any, string, bool) {
		if len(text) > maxSocket {
			return nil, "is too long for a unix socket; at most 107 bytes", false
		}
		return parsePath(text)
	},
}

// text is anything that is not empty.
var text = &scalar{
	noun: "a text of 1 to 4096 bytes",
	json: map[string]any{"type": []string{"string", "number"}, "minLength": 1, "maxLength": 4096},
	parse: func(text string) (any, string, bool) {
		return text, "", text != "" && len(text) <= 4096
	},
}

// argument is one argument of a program. One that begins like a path or an option is as good as any: there is no shell.
var argument = &scalar{
	noun: "an argument without control characters",
	json: map[string]any{"type": "string", "minLength": 1},
	parse: func(text string) (any, string, bool) {
		return text, "", text != "" && len(text) <= 4096 && !strings.ContainsFunc(text, unicode.IsControl)
	},
}
