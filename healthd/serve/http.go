package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Limits of a listener. A zero field means its default.
type Limits struct {
	Connections int // at once; 512. Beyond it the one that has been idle longest is closed.
	PerAddress  int // at once from one address (an IPv6 /64), loopback excepted; 64. Half of them may be long polls.
	Waiting     int // long polls at once; 256. Beyond it they are answered without waiting.
}

// HTTPSettings of an HTTP.
type HTTPSettings struct {
	Source     Source
	Limits     Limits
	Tokens     []string     // whose holders are told details, by `Authorization: Bearer TOKEN`; several, so that they can be rotated
	TokensOnly bool         // loopback callers are strangers: for a host with a proxy that does not name its callers
	Views      *Views       // hears what balancers say of themselves with their checks; nil hears nothing
	Metrics    http.Handler // answers /metrics, to those who are told details; nil: there is none
}

// HTTP serves /health and its kin; see ServeHTTP.
type HTTP struct {
	source     Source
	books      press[book]
	limits     Limits
	tokens     Tokens
	tokensOnly bool
	views      *Views
	metrics    http.Handler
	waiting    atomic.Int64
}

const (
	headTimeout = 5 * time.Second  // for the head of a request, so that one that drips ends
	sendTimeout = 10 * time.Second // for an answer, beyond what a long poll waits
	idleTimeout = 90 * time.Second // between requests
	maxHead     = 8 << 10
	stopTimeout = time.Second // for the answers under way when it stops
	sweepEvery  = time.Second
)

// NewHTTP makes the server; Run starts it.
func NewHTTP(s HTTPSettings) *HTTP {
	h := &HTTP{source: s.Source, limits: s.Limits, tokens: NewTokens(s.Tokens), tokensOnly: s.TokensOnly, views: s.Views, metrics: s.Metrics}
	h.books.source = s.Source
	h.books.render = func(s *healthd.Snapshot) *book {
		var before *book
		if r := h.books.ready.Load(); r != nil {
			before = r.what
		}
		return bind(s, before)
	}
	if h.limits.Waiting == 0 {
		h.limits.Waiting = 256
	}
	return h
}

// Run serves on l, which it closes, until ctx ends.
func (h *HTTP) Run(ctx context.Context, l net.Listener) error { return h.run(ctx, guard(l, h.limits)) }

func (h *HTTP) run(ctx context.Context, g *guarded) error {
	serving, stop := context.WithCancel(ctx) // ends the long polls
	defer stop()
	server := &http.Server{
		Handler:     h,
		BaseContext: func(net.Listener) context.Context { return serving },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, callerKey{}, c) },
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateIdle {
				c.(*conn).rest() // what a guarded listener accepts
			}
		},
		MaxHeaderBytes: maxHead,
		ErrorLog:       silent,

		DisableGeneralOptionsHandler: true, // it would answer 200 for us
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(g) }()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case err := <-ended:
			return fmt.Errorf("serve health on %s: %w", g.Addr(), err)
		case now := <-tick.C:
			g.sweep(now)
		case <-ctx.Done():
		}
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	_ = g.Close() // which ends Serve, once it has taken what was accepted
	<-ended
	server.SetKeepAlivesEnabled(false)
	g.quiet(bounded)
	err := server.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if err != nil {
		return fmt.Errorf("stop serving health on %s: %w", g.Addr(), err)
	}
	return nil
}
