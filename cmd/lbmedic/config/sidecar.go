package config

import "strings"

// SidecarURL is a URL with the placeholders {address}, {port}, {server} and {backend}.
type SidecarURL string

// Expand puts a server's values in. An IPv6 address gets its brackets; names are escaped as path segments.
func (s SidecarURL) Expand(address, port, server, backend string) string {
	if strings.Contains(address, ":") && !strings.HasPrefix(address, "[") {
		address = "[" + address + "]"
	}
	return strings.NewReplacer("{address}", address, "{port}", port,
		"{server}", pathSegment(server), "{backend}", pathSegment(backend)).Replace(string(s))
}
