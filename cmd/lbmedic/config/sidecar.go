package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// SidecarURL is a URL with the placeholders {address}, {port}, {server} and {backend}.
type SidecarURL string

// Expand puts a server's values in. An IPv6 address gets its brackets; names are escaped as path segments.
func (s SidecarURL) Expand(address, port, server, backend string) string {
	if strings.Contains(address, ":") && !strings.HasPrefix(address, "[") {
		address = "[" + address + "]"
	}
	return strings.NewReplacer("{address}", address, "{port}", port,
		"{server}", url.PathEscape(server), "{backend}", url.PathEscape(backend)).Replace(string(s))
}

var (
	placeholders = []string{"{address}", "{port}", "{server}", "{backend}"}
	braced       = regexp.MustCompile(`\{[^{}]*\}`)
)

var sidecarURL = &scalar{
	noun: "a URL such as http://{address}:7780/health/by-port/{port}",
	json: map[string]any{"type": "string", "pattern": `^https?://`},
	parse: func(text string) (any, string, bool) {
		for _, p := range braced.FindAllString(text, -1) {
			if slices.Contains(placeholders, p) {
				continue
			}
			return nil, "has the unknown placeholder " + quote(p) + "; known are " + strings.Join(placeholders, ", ") +
				didYouMean(p, placeholders), false
		}
		if strings.ContainsAny(braced.ReplaceAllString(text, ""), "{}") {
			return nil, "has a brace without its partner", false
		}
		if !strings.Contains(text, "{address}") && !strings.Contains(text, "{server}") {
			return nil, "is the same for every server; it needs {address} or {server}", false
		}
		if _, wrong, ok := parseURL(SidecarURL(text).Expand("192.0.2.1", "80", "server", "backend")); !ok {
			return nil, wrong, false
		}
		return SidecarURL(text), "", true
	},
}
