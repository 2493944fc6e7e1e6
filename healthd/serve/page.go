package serve

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// book is every page of one snapshot.
type book struct {
	snapshot *healthd.Snapshot
	tag      []string
	whole    *page
	services map[string]*page
	ports    map[string]*page // nil where several services listen on the port
}

// page is the answer about one service, or about the whole instance.
type page struct {
	generation uint64
	condition  condition
	state      []string // the Lbmedic-State header, nil for none
	full       body     // for loopback callers
	brief      body     // for others: statuses and names only
}

type body struct {
	text   []byte
	length []string // the Content-Length header
}

// condition is what decides about the status code.
type condition uint8

const (
	passing condition = iota
	warning
	failing
	starting // nothing is known yet
	out      // drained or in maintenance, and not failing
)

func bind(s *healthd.Snapshot) *book {
	b := &book{snapshot: s, tag: []string{s.Tag()}, services: make(map[string]*page, len(s.Services)), ports: map[string]*page{}}
	for i := range s.Services {
		svc := &s.Services[i]
		p := compose(subject{service: svc.Name, status: svc.Status, stale: svc.Stale, admin: svc.Admin, parts: []*healthd.Service{svc}})
		p.generation = svc.Generation
		b.services[svc.Name] = p
		if _, port, err := net.SplitHostPort(svc.Address); err == nil {
			if _, taken := b.ports[port]; taken {
				p = nil
			}
			b.ports[port] = p
		}
	}
	b.whole = compose(summary(s))
	b.whole.generation = s.Generation
	return b
}

// subject is what a page is about.
type subject struct {
	service string
	status  healthd.Status
	stale   bool
	admin   healthd.Admin
	parts   []*healthd.Service
}

// summary is about the whole instance: the gravest of the services that nobody has taken out on purpose, and out itself only when all are.
func summary(s *healthd.Snapshot) subject {
	r := subject{status: healthd.Pass}
	var in []*healthd.Service
	for i := range s.Services {
		svc := &s.Services[i]
		r.parts = append(r.parts, svc)
		if svc.Admin.State == healthd.Ready {
			in = append(in, svc)
		}
	}
	if len(in) == 0 && len(r.parts) > 0 {
		in, r.admin = r.parts, r.parts[0].Admin
	}
	for _, svc := range in {
		r.status = healthd.Worse(r.status, svc.Status)
		r.stale = r.stale || svc.Stale
	}
	return r
}

func (r subject) condition() condition {
	switch {
	case r.status == healthd.Unknown:
		return starting
	case r.status == healthd.Fail:
		return failing
	case r.admin.State != healthd.Ready:
		return out
	case r.status == healthd.Warn:
		return warning
	}
	return passing
}

// state names what a status code cannot say, for the machines that know us.
func (r subject) state() []string {
	var words []string
	if r.status == healthd.Unknown {
		words = append(words, "starting")
	}
	if r.stale {
		words = append(words, "stale")
	}
	if r.admin.State != healthd.Ready {
		words = append(words, r.admin.State.String())
		if r.status == healthd.Pass || r.status == healthd.Warn {
			words = append(words, r.status.String()) // the health apart from the order
		}
	}
	if words == nil {
		return nil
	}
	return []string{strings.Join(words, ", ")}
}

func (r subject) notes() []string {
	var notes []string
	switch r.admin.State {
	case healthd.Drain:
		notes = append(notes, reasoned("drain", r.admin.Reason))
	case healthd.Maint:
		notes = append(notes, reasoned("maintenance", r.admin.Reason))
	}
	if r.status == healthd.Unknown {
		notes = append(notes, "starting: the first round of checks is not over")
	}
	if r.stale {
		notes = append(notes, "stale: not measured lately")
	}
	return notes
}

func reasoned(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// healthJSON follows draft-inadarei-api-health-check-06, which is compatible with, and no standard.
type healthJSON struct {
	Status    string               `json:"status"`
	ServiceID string               `json:"serviceId,omitempty"`
	Notes     []string             `json:"notes,omitempty"`
	Output    string               `json:"output,omitempty"`
	Checks    map[string][]measure `json:"checks,omitempty"`
}

type measure struct {
	ComponentType string   `json:"componentType,omitempty"`
	ObservedValue *float64 `json:"observedValue,omitempty"`
	ObservedUnit  string   `json:"observedUnit,omitempty"`
	Status        string   `json:"status,omitempty"` // none while unknown
	Time          string   `json:"time,omitempty"`
	Output        string   `json:"output,omitempty"` // not on pass
}

func compose(r subject) *page {
	p := &page{condition: r.condition(), state: r.state()}
	p.full, p.brief = r.print(true), r.print(false)
	return p
}

func (r subject) print(details bool) body {
	j := healthJSON{Status: "fail", ServiceID: r.service, Notes: r.notes(), Checks: map[string][]measure{}}
	switch r.condition() {
	case passing:
		j.Status = "pass"
	case warning:
		j.Status = "warn"
	}
	var outputs []string
	for _, svc := range r.parts {
		prefix := ""
		if r.service == "" {
			prefix = svc.Name + "/"
		}
		for i := range svc.Checks {
			c := &svc.Checks[i]
			name := prefix + c.Name
			if c.Measurement != "" {
				name += ":" + c.Measurement
			}
			j.Checks[name] = []measure{measured(c, details)}
		}
		if blame := svc.Blame(); blame != nil {
			outputs = append(outputs, prefix+blame.Name+": "+blame.Verdict.Last.Detail)
		}
	}
	if details && j.Status != "pass" {
		j.Output = strings.Join(outputs[:min(len(outputs), 8)], "; ")
	}
	text, err := json.Marshal(j)
	if err != nil { // of strings and numbers: cannot be
		text = fmt.Appendf(nil, `{"status":"fail","notes":[%q]}`, err)
	}
	text = append(text, '\n')
	return body{text: text, length: []string{strconv.Itoa(len(text))}}
}

func measured(c *healthd.Check, details bool) measure {
	var m measure
	if c.Verdict.Status != healthd.Unknown {
		m.Status = c.Verdict.Status.String()
	}
	last := c.Verdict.Last
	if !details || last.At.IsZero() {
		return m
	}
	m.ComponentType = "component"
	m.Time = last.At.UTC().Format(time.RFC3339Nano)
	if last.Class.Status() != healthd.Unknown {
		ms := float64(last.Took.Microseconds()) / 1000
		m.ObservedValue, m.ObservedUnit = &ms, "ms"
	}
	if c.Verdict.Status != healthd.Pass || last.Class != healthd.OK {
		m.Output = last.Detail
	}
	return m
}

// asked are the parameters of a request about health.
type asked struct {
	warn, out int // status codes
}

var usual = asked{warn: http.StatusOK, out: http.StatusServiceUnavailable}

func (p *page) code(a asked) int {
	switch p.condition {
	case passing:
		return http.StatusOK
	case warning:
		return a.warn
	case out:
		return a.out
	}
	return http.StatusServiceUnavailable
}

// names are the services, sorted.
func (b *book) names() []string {
	names := make([]string, 0, len(b.services))
	for name := range b.services {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
