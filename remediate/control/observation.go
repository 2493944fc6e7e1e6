package control

import (
	"context"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

// Balancer is what a Controller works: HAProxy or nginx.
type Balancer interface {
	// Observe reads the live worker in one batch.
	Observe(ctx context.Context) (Observation, error)
	// Act takes one step in that generation and no other. Its outcome is Unknown unless it is sure.
	Act(ctx context.Context, g remediate.Generation, a remediate.Action) (remediate.Result, string)
	// Use reads what still uses a server, in the live worker and in older ones.
	Use(ctx context.Context, backend, server string) (remediate.Use, error)
}

// Observation is one look at a balancer.
type Observation struct {
	At         time.Time // when the reading began
	Generation remediate.Generation
	Version    string
	Denied     string // why commands are not taken, though it can be read; empty where they are
	Backends   []Backend
}

// Backend is a backend as the live worker reports it, and where the sidecars of its servers are asked.
type Backend struct {
	remediate.Backend
	Sidecars map[string]string // by server; no entry where a server has none
}

// row finds the row of a server.
func (o Observation) row(backend, server string) (remediate.Server, bool) {
	for _, b := range o.Backends {
		if b.Name != backend {
			continue
		}
		for _, s := range b.Servers {
			if s.Name == server {
				return s, true
			}
		}
	}
	return remediate.Server{}, false
}

// instance names the server that a row belongs to: rows of one backend that share an address are one.
func (o Observation) instance(t remediate.Target) string {
	if s, ok := o.row(t.Backend, t.Server); ok && s.Address != "" {
		return t.Backend + " at " + s.Address
	}
	return t.String()
}
