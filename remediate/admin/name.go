package admin

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/lbmedic/lbmedic/remediate"
)

// Bounds of a name, in bytes.
const (
	maxPart = 128
	maxName = 3*maxPart + 2
)

// Target is what an operator may name.
type Target struct {
	remediate.Target        // Balancer is empty where it was left out
	Service          string // a local health service; the rest is empty then
}

func (t Target) String() string {
	switch {
	case t.Service != "":
		return t.Service
	case t.Balancer == "":
		return t.Backend + "/" + t.Server
	}
	return t.Target.String()
}

// ParseTarget reads [BALANCER/]BACKEND/SERVER, or a bare word, which is a local health service. A server of nginx is its
// address:port. There are no patterns: a name means one thing.
func ParseTarget(name string) (Target, error) {
	if len(name) > maxName {
		return Target{}, fmt.Errorf("a name of %d bytes is too long; a server is named [BALANCER/]BACKEND/SERVER", len(name))
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if err := checkPart(part, len(parts) > 1 && i == len(parts)-1); err != nil {
			return Target{}, fmt.Errorf("name %q: %w; a server is named [BALANCER/]BACKEND/SERVER, a local health service by one word", name, err)
		}
	}
	switch len(parts) {
	case 1:
		return Target{Service: parts[0]}, nil
	case 2:
		return Target{Target: remediate.Target{Backend: parts[0], Server: parts[1]}}, nil
	case 3:
		return Target{Target: remediate.Target{Balancer: parts[0], Backend: parts[1], Server: parts[2]}}, nil
	}
	return Target{}, fmt.Errorf("name %q has %d parts; a server is named [BALANCER/]BACKEND/SERVER", name, len(parts))
}

// checkPart holds one part to what HAProxy allows in names; a server of nginx may be [IPv6]:port besides.
func checkPart(part string, server bool) error {
	if part == "" {
		return fmt.Errorf("a part of it is empty")
	}
	if part == "." || part == ".." {
		return fmt.Errorf("%q is no name", part)
	}
	if len(part) > maxPart {
		return fmt.Errorf("a part of it is longer than %d bytes", maxPart)
	}
	for _, r := range part {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_.:-", r):
		case server && (r == '[' || r == ']'):
		default:
			return fmt.Errorf("%q cannot be in a name", r)
		}
	}
	return nil
}

// resolve finds the one server that a name means. A balancer that is named need not have been read yet: whether it has
// the server is then seen when the order is carried out.
func (s *Server) resolve(t Target) (remediate.Target, error) {
	controllers := s.controllers()
	if t.Balancer != "" {
		if controllers[t.Balancer] == nil {
			return t.Target, problemf(http.StatusNotFound, UnknownBalancer, "there is no balancer %s; there %s", t.Balancer, known(controllers))
		}
		return t.Target, nil
	}
	var found, unread []string
	for _, name := range slices.Sorted(maps.Keys(controllers)) {
		status := controllers[name].Status()
		if status.Error != "" || status.Read.IsZero() {
			unread = append(unread, name)
		}
		for _, row := range status.Servers {
			if row.Backend == t.Backend && row.Server == t.Server {
				found = append(found, name)
				break
			}
		}
	}
	switch {
	case len(found) > 1:
		return t.Target, problemf(http.StatusConflict, AmbiguousName, "%s is in more than one balancer; name one of %s", t,
			strings.Join(eachWith(found, "/"+t.String()), ", "))
	case len(found) == 0 && len(unread) > 0:
		return t.Target, problemf(http.StatusNotFound, UnknownServer, "no balancer that can be read has %s; %s cannot be read: put its name before the server's if it is there",
			t, strings.Join(unread, ", "))
	case len(found) == 0:
		return t.Target, problemf(http.StatusNotFound, UnknownServer, "no balancer has %s; `lbmedic status` lists what there is", t)
	case len(unread) > 0 && unread[0] != found[0]:
		return t.Target, problemf(http.StatusConflict, AmbiguousName, "%s is in %s, and may be in %s too, which cannot be read; name it %s/%s",
			t, found[0], strings.Join(unread, ", "), found[0], t)
	}
	t.Balancer = found[0]
	return t.Target, nil
}

// mustHave refuses a server that its balancer does not have. What a balancer has that cannot be read is not known.
func (s *Server) mustHave(t remediate.Target) error {
	status := s.controllers()[t.Balancer].Status()
	if status.Error != "" || status.Read.IsZero() || has(status, t) {
		return nil
	}
	return noServer(t)
}

func noServer(t remediate.Target) error {
	return problemf(http.StatusNotFound, UnknownServer, "balancer %s has no %s/%s; `lbmedic status` lists what there is", t.Balancer, t.Backend, t.Server)
}

func known[V any](m map[string]V) string {
	if len(m) == 0 {
		return "are none"
	}
	return cmp.Or(map[bool]string{true: "is "}[len(m) == 1], "are ") + strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

func eachWith(names []string, suffix string) []string {
	out := slices.Clone(names)
	for i := range out {
		out[i] += suffix
	}
	return out
}
