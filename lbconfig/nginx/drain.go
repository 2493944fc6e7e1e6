package nginx

import (
	"fmt"
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// FileEdit is a change of one file, held against the bytes it was made for.
type FileEdit struct {
	Source *lbconfig.Source
	Edits  []lbconfig.Edit
}

// Bytes is the file after the edit.
func (e FileEdit) Bytes() ([]byte, error) { return e.Source.Splice(e.Edits...) }

// Reason names why a server is not taken out or put back by an edit.
type Reason string

// The reasons.
const (
	ConfigInvalid   Reason = "config-invalid"   // the file cannot be read without an error, so no place in it is certain
	UnknownUpstream Reason = "unknown-upstream" // no upstream has that name
	UnknownServer   Reason = "unknown-server"   // the upstream has no such server
	Ambiguous       Reason = "ambiguous"        // several lines match
	SharedFile      Reason = "shared-file"      // the line's file is included more than once
	ResolvedName    Reason = "resolved-name"    // the server is, or hides behind, a name that nginx resolves as it runs
	LastServer      Reason = "last-server"      // nothing would serve: all servers down passes `nginx -t` and gives 502 to everybody
)

// Refusal is why an edit is not made.
type Refusal struct {
	Reason Reason
	Text   string // with the places, and what to do next where that is known
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Reason, r.Text) }

func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{reason, oneLine(fmt.Sprintf(format, args...))}
}

// SetDown takes a server ("10.0.0.5:8080") of an upstream out, or puts it back, by the smallest edit there is: the word
// `down`, with one space before it, behind the last word of the server's directive. Putting back removes every word
// `down` of the directive, whoever wrote it, with the one blank before it; so taking out and putting back restores
// the same bytes. A server that already is as wanted needs no edit. The error is a *Refusal.
func SetDown(c *Closure, upstream, server string, down bool) ([]FileEdit, error) {
	for _, p := range c.Problems {
		if p.Severity == lbconfig.Error {
			return nil, refuse(ConfigInvalid, "%s; mend it first", p)
		}
	}
	u, s, err := findServer(c.Meaning(), upstream, server)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Down == down:
		return nil, nil
	case s.Shared:
		return nil, refuse(SharedFile, "%s is included more than once, so an edit of %s would change every place; give the upstream its own line", s.File.Source.Path, s.Place())
	case s.Resolve:
		return nil, refuse(ResolvedName, "%s at %s stands for whatever its name resolves to; take the address out of the DNS answer instead", s.Name(), s.Place())
	case down && u.onlyServes(s):
		return nil, refuse(LastServer, "%s is the last server of upstream %s that serves; all down gives 502 to everybody", s.Name(), u.Name)
	}
	return []FileEdit{{s.File.Source, s.downEdits(down)}}, nil
}

// downEdits is the edit of the server's own line.
func (s *Server) downEdits(down bool) []lbconfig.Edit {
	if down {
		at := s.Directive.Words[len(s.Directive.Words)-1].Span.End
		return []lbconfig.Edit{{Span: lbconfig.Span{Start: at, End: at}, Text: " down"}}
	}
	var edits []lbconfig.Edit
	for _, p := range s.Params {
		if p.Name == "down" && p.Value == "" {
			start := p.Span.Start
			if before := s.File.Source.Bytes[start-1]; before == ' ' || before == '\t' { // a line end stays: it may end a comment
				start--
			}
			edits = append(edits, lbconfig.Edit{Span: lbconfig.Span{Start: start, End: p.Span.End}})
		}
	}
	return edits
}

// findServer finds the one line that the two names mean, whatever the case of their letters.
func findServer(m *Model, upstream, server string) (*Upstream, *Server, error) {
	var ups []*Upstream
	for i := range m.Upstreams {
		ups = append(ups, &m.Upstreams[i])
	}
	ups = named(ups, upstream, func(u *Upstream) (string, bool) { return u.Name, true })
	if len(ups) == 0 {
		return nil, nil, refuse(UnknownUpstream, "there is no upstream %q; there are %s", upstream, m.upstreamNames())
	}
	var found []*Server
	of := map[*Server]*Upstream{}
	for _, up := range ups { // http and stream may each have one of that name
		for i := range up.Servers {
			s := &up.Servers[i]
			found, of[s] = append(found, s), up
		}
	}
	found = named(found, server, func(s *Server) (string, bool) { return s.Name(), s.Port != "" })
	switch {
	case len(found) == 1:
		return of[found[0]], found[0], nil
	case len(found) == 0:
		return nil, nil, noServer(ups, server)
	}
	if found[0].Directive == found[1].Directive {
		return nil, nil, refuse(SharedFile, "%s at %s is included more than once by upstream %s", server, found[0].Place(), upstream)
	}
	var places []string
	for _, s := range found {
		places = append(places, s.Place().String())
	}
	return nil, nil, refuse(Ambiguous, "upstream %s has %s more than once: %s; leave one line", upstream, server, strings.Join(places, ", "))
}

// named picks those of that name. Where none is spelled so, it is those that differ in the case of letters alone, as
// nginx has it; but for the path of a socket, which is not folded.
func named[T any](all []T, name string, nameOf func(T) (is string, fold bool)) (exact []T) {
	var alike []T
	for _, one := range all {
		is, fold := nameOf(one)
		if is == name {
			exact = append(exact, one)
		} else if fold && equalFold(is, name) {
			alike = append(alike, one)
		}
	}
	if exact != nil {
		return exact
	}
	return alike
}

func noServer(ups []*Upstream, server string) error {
	var names []string
	for _, u := range ups {
		for i := range u.Servers {
			s := &u.Servers[i]
			if s.Resolve {
				return refuse(ResolvedName, "upstream %s has no line for %s, it may be one of the addresses of %s at %s; take it out of the DNS answer instead", u.Name, server, s.Name(), s.Place())
			}
			names = append(names, s.Name())
		}
	}
	return refuse(UnknownServer, "upstream %s has no server %q; it has %s", ups[0].Name, server, strings.Join(names, ", "))
}

func (m *Model) upstreamNames() string {
	var names []string
	for i := range m.Upstreams {
		names = append(names, m.Upstreams[i].Name)
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

// onlyServes tells whether no other server of the upstream, backups included, serves.
func (u *Upstream) onlyServes(s *Server) bool {
	for i := range u.Servers {
		if other := &u.Servers[i]; other != s && other.Serves() {
			return false
		}
	}
	return true
}
