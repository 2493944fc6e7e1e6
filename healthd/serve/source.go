// Package serve tells whoever asks how the services of this instance are, each in the form it understands: health+json, plain text and the
// bodies of Spring Boot's Actuator, MicroProfile and Kubernetes over HTTP, words over HAProxy's agent-check; gRPC and Prometheus are in
// folders of their own. Every answer is prepared when the state changes and comes from memory; a request never makes a check.
package serve

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/lbmedic/lbmedic/healthd"
)

// Source holds the state that is served; a *probe.Board is one.
type Source interface {
	Latest() *healthd.Snapshot
	// Wait returns the latest snapshot once its generation is above after, or with the error of ctx when that ends first.
	Wait(ctx context.Context, after uint64) (*healthd.Snapshot, error)
}

// Orders says which admin word a balancer is to hear; a *probe.Board does. See healthd.Ledger.
type Orders interface {
	Say(service string, balancer netip.Addr, row string) (word healthd.AdminState, ok bool, err error)
	// Heard notes that it took the word Ready.
	Heard(service string, balancer netip.Addr, row string) error
	// Offer has it be owed Ready even if nobody knows that it heard of a drain, and reports whether that is why it is owed.
	Offer(service string, balancer netip.Addr, row string) (offered bool)
}

// press keeps what was rendered from the latest snapshot.
type press[T any] struct {
	source Source
	render func(*healthd.Snapshot) *T
	mu     sync.Mutex
	ready  atomic.Pointer[rendered[T]]
}

type rendered[T any] struct {
	from *healthd.Snapshot
	what *T
}

// latest renders at most once a snapshot, however many ask at once. Where only details differ from what is ready, one caller renders and
// the others get what is ready, so that the answers to a balancer do not wait for numbers that it does not read.
func (p *press[T]) latest() *T {
	s, r := p.source.Latest(), p.ready.Load()
	switch {
	case r != nil && r.from == s:
		return r.what
	case r == nil || r.from.Generation != s.Generation || r.from.Instance != s.Instance:
		p.mu.Lock()
	case !p.mu.TryLock():
		return r.what
	}
	defer p.mu.Unlock()
	s = p.source.Latest() // it took a while to get here
	if r := p.ready.Load(); r != nil && r.from == s {
		return r.what
	}
	what := p.render(s)
	p.ready.Store(&rendered[T]{s, what})
	return what
}
