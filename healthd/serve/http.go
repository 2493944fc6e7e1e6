package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
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
	Source Source
	Limits Limits
}

// HTTP serves /health, /livez and /readyz.
type HTTP struct {
	source  Source
	books   press[book]
	limits  Limits
	waiting atomic.Int64
}

const (
	headTimeout = 5 * time.Second  // for the head of a request, so that one that drips ends
	sendTimeout = 10 * time.Second // for an answer, beyond what a long poll waits
	idleTimeout = 90 * time.Second // between requests
	maxHead     = 8 << 10
	stopTimeout = time.Second // for the answers under way when it stops
	sweepEvery  = time.Second
	counted     = 2 << 10 // a body up to here net/http counts itself, for less than a header of ours costs
)

// Values of headers, shared by all answers and never written to.
var (
	healthType  = []string{"application/health+json"}
	problemType = []string{"application/problem+json"}
	plainType   = []string{"text/plain; charset=utf-8"}
	noStore     = []string{"no-store"}
	retryAfter  = []string{"5"}
	getOrHead   = []string{"GET, HEAD"}
)

// NewHTTP makes the server; Run starts it.
func NewHTTP(s HTTPSettings) *HTTP {
	h := &HTTP{source: s.Source, limits: s.Limits}
	h.books.source, h.books.render = s.Source, bind
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
				c.(*conn).enter(idling) // what a guarded listener accepts
			}
		},
		MaxHeaderBytes: maxHead,
		ErrorLog:       silent,
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
	err := server.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-ended
	if err != nil {
		return fmt.Errorf("stop serving health on %s: %w", g.Addr(), err)
	}
	return nil
}

type callerKey struct{}

// ServeHTTP answers from memory. Who is no connection of Run, as in a test with a recorder, is no loopback caller.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller, known := r.Context().Value(callerKey{}).(*conn)
	if known {
		caller.enter(answering)
	}
	b := h.books.latest()
	header := w.Header()
	header["Cache-Control"] = noStore
	header["Lbmedic-Generation"] = b.tag
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header["Allow"] = getOrHead
		refuse(w, http.StatusMethodNotAllowed, "ask with GET or HEAD")
		return
	}
	local := known && caller.local
	switch path := r.URL.Path; {
	case path == "/health":
		h.health(w, r, local, func(b *book) *page { return b.whole }, b)
	case strings.HasPrefix(path, "/health/by-port/"):
		port := path[len("/health/by-port/"):]
		if p, ok := b.ports[port]; ok && p == nil {
			refuse(w, http.StatusNotFound, "several services listen on port "+healthd.Line(port, 20)+"; ask by name")
			return
		}
		h.health(w, r, local, func(b *book) *page { return b.ports[port] }, b)
	case strings.HasPrefix(path, "/health/"):
		name := path[len("/health/"):]
		h.health(w, r, local, func(b *book) *page { return b.services[name] }, b)
	case path == "/livez":
		livez(w, r)
	case path == "/readyz":
		readyz(w, r, b.snapshot, local)
	default:
		refuse(w, http.StatusNotFound, "here are /health, /health/SERVICE, /health/by-port/PORT, /livez and /readyz")
	}
}

// health answers about the page that find finds in the book, and in the next one after a long poll.
func (h *HTTP) health(w http.ResponseWriter, r *http.Request, local bool, find func(*book) *page, b *book) {
	p := find(b)
	a := usual
	if p != nil && r.URL.RawQuery != "" {
		var poll poll
		var err error
		if a, poll, err = parse(r.URL.RawQuery); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		if poll.wait > 0 {
			b = h.await(r, poll, find, b)
			p = find(b)
			w.Header()["Lbmedic-Generation"] = b.tag
		}
	}
	if p == nil {
		refuse(w, http.StatusNotFound, "no such service here; there are: "+healthd.Line(strings.Join(b.names(), ", "), 500))
		return
	}
	text := &p.brief
	if local {
		text = &p.full
	}
	header := w.Header()
	header["Content-Type"] = healthType
	if len(text.text) > counted || r.Method == http.MethodHead {
		header["Content-Length"] = text.length
	}
	if p.state != nil {
		header["Lbmedic-State"] = p.state
	}
	code := p.code(a)
	if code == http.StatusServiceUnavailable {
		header["Retry-After"] = retryAfter
	}
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text.text) // a caller that has gone misses nothing
	}
}
