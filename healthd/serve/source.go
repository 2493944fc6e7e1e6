// Package serve tells whoever asks how the services of this instance are, each in the form it understands: health+json and the
// Kubernetes paths over HTTP, words over HAProxy's agent-check. Every answer is prepared when the state changes and comes from memory;
// a request never makes a check.
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
	Say(service string, balancer netip.Addr) (word healthd.AdminState, ok bool, err error)
	// Heard notes that it took the word Ready.
	Heard(service string, balancer netip.Addr) error
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

// latest renders at most once a snapshot, however many ask at once.
func (p *press[T]) latest() *T {
	s := p.source.Latest()
	if r := p.ready.Load(); r != nil && r.from == s {
		return r.what
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.ready.Load(); r != nil && r.from == s {
		return r.what
	}
	what := p.render(s)
	p.ready.Store(&rendered[T]{s, what})
	return what
}
