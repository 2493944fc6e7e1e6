package admin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// Role is what a caller over TCP may do; each includes the one before. Whoever may open the unix socket may do all.
type Role uint8

// The roles. The zero value may do nothing.
const (
	Nobody  Role = iota
	Ask          // whether a server is drained
	Read         // and everything else that changes nothing
	Operate      // and give orders
)

var roleNames = [...]string{Nobody: "nobody", Ask: "ask", Read: "read", Operate: "operate"}

// String is "nobody", "ask", "read" or "operate".
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role %d", r)
}

// ParseRole reads "ask", "read" or "operate".
func ParseRole(word string) (Role, error) {
	for r, name := range roleNames {
		if word == name && Role(r) != Nobody {
			return Role(r), nil
		}
	}
	return Nobody, fmt.Errorf("role %q is none of ask, read, operate", healthd.Line(word, 32))
}

// Allowing reads the list of admin.remote.allow: each line is the name of a certificate, which may then ask whether a server is drained, or
// NAME=ROLE. Every mistake is told.
func Allowing(lines []string) (map[string]Role, error) {
	allow := map[string]Role{}
	var errs []error
	for _, line := range lines {
		name, role := line, Ask
		if i := strings.LastIndexByte(line, '='); i >= 0 {
			var err error
			if role, err = ParseRole(line[i+1:]); err != nil {
				errs = append(errs, fmt.Errorf("admin.remote.allow: %q: %w", healthd.Line(line, 100), err))
			}
			name = line[:i]
		}
		if !strings.Contains(name, "://") {
			name = strings.ToLower(name)
		}
		if name == "" || allow[name] != Nobody {
			errs = append(errs, fmt.Errorf("admin.remote.allow: %q is no name of its own", healthd.Line(line, 100)))
		}
		allow[name] = role
	}
	return allow, errors.Join(errs...)
}

// roleOf is the role of the name of a verified certificate that may do most. Its names are the DNS names and URIs (SAN) in it, as they
// are written there: a common name counts for nothing, and a wildcard means no other name.
func roleOf(cert *x509.Certificate, allow map[string]Role) (name string, role Role) {
	names := make([]string, 0, len(cert.DNSNames)+len(cert.URIs))
	for _, n := range cert.DNSNames {
		names = append(names, strings.ToLower(n))
	}
	for _, u := range cert.URIs {
		names = append(names, u.String())
	}
	for _, n := range names {
		if r := allow[n]; r > role {
			name, role = n, r
		}
	}
	if role == Nobody {
		name = healthd.Line(strings.Join(names, ", "), 200)
	}
	return name, role
}

type roleKey struct{}

// withCaller notes who a request over TCP is from, beside what it may do.
func withCaller(r *http.Request, name string, role Role) *http.Request {
	ctx := context.WithValue(r.Context(), operatorKey{}, healthd.Line(name, 128)+" (certificate)")
	return r.WithContext(context.WithValue(ctx, roleKey{}, role))
}

// may says why a caller may not use an endpoint; nil where it may.
func may(r *http.Request, needed Role) error {
	role, remote := r.Context().Value(roleKey{}).(Role)
	if !remote || role >= needed {
		return nil
	}
	return problemf(http.StatusForbidden, Forbidden, "%s may %s, and this needs %s: see admin.remote.allow", operator(r), role, needed)
}
