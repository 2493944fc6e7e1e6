package serve

import (
	"net"
	"net/http"
	"slices"

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

func compose(r subject) *page {
	p := &page{condition: r.condition(), state: r.state()}
	p.full, p.brief = r.print(true), r.print(false)
	return p
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
