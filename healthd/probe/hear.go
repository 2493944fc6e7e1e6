package probe

import (
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// maxSiblings bounds whose answers are kept.
const maxSiblings = 256

// ear holds what siblings said of the dependencies that are shared with them.
type ear struct {
	siblings []string                           // who is asked, sorted
	of       map[string][]string                // by service, where not all of them are its siblings
	words    map[string]map[string]healthd.Word // by dependency, then sibling
}

// about gives one word for each sibling of a service.
func (e *ear) about(service, dependency string) []healthd.Word {
	siblings, some := e.of[service]
	if !some {
		siblings = e.siblings
	}
	words := make([]healthd.Word, len(siblings))
	for i, s := range siblings {
		words[i] = e.words[dependency][s]
	}
	return words
}

// Siblings says which instances there are beside this one (it is none of them), by names that Hear uses; at most 256. What others said is
// forgotten. Half of those named here must agree, so that those who cannot be asked count as silent.
func (b *Board) Siblings(names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	b.ear.siblings = names[:min(len(names), maxSiblings)]
	for _, said := range b.ear.words {
		for s := range said {
			if _, known := slices.BinarySearch(b.ear.siblings, s); !known {
				delete(said, s)
			}
		}
	}
	b.reconsider(time.Now())
}

// SiblingsOf says which of those that Siblings names are siblings of which service, where a host has several services that others have not: the rest has
// no say about their dependencies. A service that is not in it has them all.
func (b *Board) SiblingsOf(services map[string][]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ear.of = map[string][]string{}
	for service, names := range services {
		b.ear.of[service] = slices.Compact(slices.Sorted(slices.Values(names)))
	}
	b.reconsider(time.Now())
}

// Hear takes the answer of a sibling that was asked at a time for what it sees; nil is an answer that names nothing. Where no answer came, nothing is to
// be heard: its last one stands until it is two intervals old, and then it is unknown. It is asked once an interval of the checks in question.
func (b *Board) Hear(sibling string, asked time.Time, sightings []healthd.Sighting) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := slices.BinarySearch(b.ear.siblings, sibling); !known {
		return
	}
	now := time.Now()
	for _, said := range b.ear.words {
		delete(said, sibling)
	}
	for _, s := range sightings {
		if said := b.ear.words[s.Dependency]; said != nil {
			said[sibling] = healthd.Word{Status: s.Status, Measured: asked.Add(-max(0, s.Age)), Heard: now}
		}
	}
	b.reconsider(now)
}

// Shares reports whether any check is shared with siblings, and how often they are to be asked: once in the shortest interval of those checks.
func (b *Board) Shares() (every time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.shared {
		if r := b.checks[k]; !ok || r.interval < every {
			every, ok = r.interval, true
		}
	}
	return every, ok
}

// reconsider judges the shared checks by what the siblings say by now.
func (b *Board) reconsider(now time.Time) {
	changed := false
	for _, k := range b.shared {
		r := b.checks[k]
		if !r.tried {
			continue
		}
		before := r.suspect()
		r.consult(k.service, &b.ear, now)
		if r.suspect() != before {
			changed = true
			b.pend(k, r)
		}
	}
	if changed {
		b.flush(now)
	}
}
