package serve

import (
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

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

// page is the answers about one service, or about the whole instance.
type page struct {
	generation uint64
	condition  Condition
	state      []string // the Lbmedic-State header, nil for none
	hops       []string // the Lbmedic-Hops header, nil where no check asks another lbmedic
	about      subject

	mu     sync.Mutex // held to print
	sheets [shapes][audiences]atomic.Pointer[sheet]
}

// sheet is a page in one shape for one audience.
type sheet struct {
	text   []byte
	length []string // the Content-Length header
}

// bind makes the book of a snapshot. What was asked for of the book before is printed already, so that nobody who asks again waits for it.
func bind(s *healthd.Snapshot, before *book) *book {
	b := &book{snapshot: s, tag: []string{s.Tag()}, services: make(map[string]*page, len(s.Services)), ports: map[string]*page{}}
	for i := range s.Services {
		svc := &s.Services[i]
		p := compose(about(svc), svc.Generation)
		b.services[svc.Name] = p
		if _, port, err := net.SplitHostPort(svc.Address); err == nil {
			if _, taken := b.ports[port]; taken {
				p = nil
			}
			b.ports[port] = p
		}
	}
	b.whole = compose(summary(s), s.Generation)
	if before != nil {
		b.whole.reprint(before.whole, false)
		for name, p := range b.services {
			if old := before.services[name]; old != nil {
				p.reprint(old, unchanged(old.about.parts[0], p.about.parts[0]))
			}
		}
	}
	return b
}

// unchanged reports whether a service is the same in two snapshots, whose checks are the same array then: none is ever modified.
func unchanged(old, now *healthd.Service) bool {
	if len(old.Checks) != len(now.Checks) || len(now.Checks) > 0 && &old.Checks[0] != &now.Checks[0] {
		return false
	}
	o, n := *old, *now
	o.Checks, n.Checks = nil, nil
	return reflect.DeepEqual(o, n)
}

func compose(r subject, generation uint64) *page {
	return &page{generation: generation, condition: r.condition(), state: r.state(), hops: r.hops(), about: r}
}

// reprint prints what was printed of the page before, or takes it over where it would be the same.
func (p *page) reprint(old *page, same bool) {
	for s := range shapes {
		for a := range audiences {
			switch printed := old.sheets[s][a].Load(); {
			case printed == nil:
			case same:
				p.sheets[s][a].Store(printed)
			default:
				p.sheet(s, a)
			}
		}
	}
}

// sheet is printed when it is first asked for.
func (p *page) sheet(s shape, a audience) *sheet {
	if ready := p.sheets[s][a].Load(); ready != nil {
		return ready
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ready := p.sheets[s][a].Load()
	if ready == nil {
		ready = &sheet{text: p.about.print(s, a)}
		ready.length = []string{strconv.Itoa(len(ready.text))}
		p.sheets[s][a].Store(ready)
	}
	return ready
}

// asked are the parameters of a request about health.
type asked struct {
	warn, out int // status codes
	brief     bool
}

var usual = asked{warn: http.StatusOK, out: http.StatusServiceUnavailable}

func (p *page) code(a asked) int {
	switch p.condition {
	case Passing:
		return http.StatusOK
	case Warning:
		return a.warn
	case Out:
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
