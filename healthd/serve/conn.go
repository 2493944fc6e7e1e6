package serve

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// conn is one connection of a guarded listener, and what it is at.
type conn struct {
	net.Conn
	guard *guarded
	peer  netip.Addr
	group netip.Prefix
	local bool         // from a loopback address
	phase atomic.Int32 // heading at first
	since atomic.Int64 // when the phase began, in nanoseconds
	calls atomic.Int32 // between Hold and Release
}

// The phases of a connection and how long each may last. The sweep holds them to it: four timers set for each request, which is what
// net/http's own timeouts come to, cost a tenth of the throughput.
const (
	heading   int32 = iota // a request is being read, or the first is awaited
	answering              // from the end of its head until the answer is sent
	waiting                // in a long poll, before its answer
	idling                 // between two requests
)

func (c *conn) enter(phase int32) {
	c.since.Store(time.Now().UnixNano())
	c.phase.Store(phase)
}

// Hold begins a call: the connection makes room for a new one only where all others have one too.
func (c *conn) Hold() {
	c.calls.Add(1)
	c.enter(waiting)
}

// Release ends a call.
func (c *conn) Release() {
	if c.calls.Add(-1) == 0 {
		c.enter(idling)
	}
}

// Local reports whether the caller has a loopback address.
func (c *conn) Local() bool { return c.local }

// Read notices the first bytes of a request.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.phase.Load() == idling {
		c.enter(heading)
	}
	return n, err
}

func (c *conn) overdue(now time.Time) bool {
	limit := headTimeout
	switch c.phase.Load() {
	case answering:
		limit = sendTimeout
	case waiting: // ends by itself
		limit = MaxWait + sendTimeout
	case idling:
		limit = idleTimeout
	}
	return now.Sub(time.Unix(0, c.since.Load())) > limit
}

// CloseWrite ends our side of the connection and leaves the other open.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close gives the place back; it may be called more than once.
func (c *conn) Close() error {
	c.guard.mu.Lock()
	c.guard.forget(c)
	c.guard.mu.Unlock()
	return c.Conn.Close()
}
