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
	local bool          // from a loopback address
	phase atomic.Int32  // heading at first
	since atomic.Int64  // when the phase began, in nanoseconds
	calls atomic.Int32  // between Hold and Release
	ends  atomic.Uint32 // the last four bytes that were read
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

// rest ends an answer. What was read already of the next request is in a buffer of net/http, and no Read will notice it: it is there where what was read
// last is not the end of a head. Who sends bodies, which none of our requests needs, has to send the next request within headTimeout too.
func (c *conn) rest() {
	if end := c.ends.Load(); end == '\r'<<24|'\n'<<16|'\r'<<8|'\n' || end&0xffff == '\n'<<8|'\n' {
		c.enter(idling)
		return
	}
	c.enter(heading)
}

// Group is what the limits per address count: the address, or its /64.
func (c *conn) Group() netip.Prefix { return c.group }

// Read notices the first bytes of a request, and the last.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	end := c.ends.Load()
	for _, b := range p[max(0, n-4):max(0, n)] {
		end = end<<8 | uint32(b)
	}
	c.ends.Store(end)
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
