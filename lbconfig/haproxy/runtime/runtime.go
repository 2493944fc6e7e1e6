// Package runtime speaks HAProxy's runtime API: it reads what HAProxy knows about its servers and changes their state.
//
// A verb outside the closed table in verb.go cannot be sent, and a name that is not plainly a name is refused before it
// reaches the socket. Each batch uses a connection of its own, because a kept-open one goes on answering from the old
// worker after a reload. Each batch learns which worker answers it before it writes anything, and whether that worker
// still was the live one afterwards. What was not answered in full is Unknown, and is settled by reading the state back.
//
// Everything said here about HAProxy was seen on 2.2.9, 2.6.12, 3.0.11 and 3.2.26 alike, unless versions are named.
package runtime

import (
	"sync"
	"time"
)

// Settings say where a runtime socket is and what one batch may cost.
type Settings struct {
	Network  string        // "unix" or "tcp"; default "unix"
	Address  string        // the socket's path (or @name of an abstract one), or host:port
	Timeout  time.Duration // bound on a whole batch, from connecting to the last byte; default 5 s
	MaxReply int64         // bound on the bytes of one batch's replies; default 256 MiB
}

// The defaults of Settings. The largest reply seen, `show stat` of 10,000 servers on 3.2, is 4 MiB.
const (
	DefaultTimeout        = 5 * time.Second
	DefaultMaxReply int64 = 256 << 20
)

func (s Settings) withDefaults() Settings {
	if s.Network == "" {
		s.Network = "unix"
	}
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	if s.MaxReply <= 0 {
		s.MaxReply = DefaultMaxReply
	}
	return s
}

// Client speaks to one runtime socket. It holds no connection between calls and may be used by several goroutines.
type Client struct {
	settings Settings

	mu    sync.Mutex
	spare *scratch // what the last call read with
}

// scratch is what one call reads with: a buffer, and the strings it has met.
type scratch struct {
	lines lines
	names interner
}

// newScratch has a buffer that takes in one read all that HAProxy can have written meanwhile.
func newScratch() *scratch { return &scratch{lines: lines{buf: make([]byte, 128<<10)}} }

func (c *Client) take() *scratch {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.spare
	c.spare = nil
	if s == nil {
		s = newScratch()
	}
	return s
}

func (c *Client) give(s *scratch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = s
}

// New returns a client. It does not connect: a socket that is missing shows in the first call.
func New(s Settings) *Client {
	return &Client{settings: s.withDefaults()}
}

// Settings are the client's settings with the defaults filled in.
func (c *Client) Settings() Settings { return c.settings }
