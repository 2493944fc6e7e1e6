package check

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// maxWatched is how much a server may answer to a client that is not ours.
const maxWatched = 256 << 10

// watchedConn is for clients of others: it bounds what they read, and remembers the error of the network that they make a mere text of.
type watchedConn struct {
	net.Conn
	read  atomic.Int64
	fault atomic.Pointer[error]
}

// Read reads within maxWatched.
func (c *watchedConn) Read(p []byte) (int, error) {
	left := maxWatched - c.read.Load()
	if left <= 0 {
		return 0, c.remember(wrongAnswer(fmt.Sprintf("an answer longer than %d bytes", maxWatched)))
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.read.Add(int64(n))
	return n, c.remember(err)
}

// Write is that of the connection.
func (c *watchedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.remember(err)
}

func (c *watchedConn) remember(err error) error {
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.fault.CompareAndSwap(nil, &err)
	}
	return err
}

// failure is the first error of the network, an early end as a wrongAnswer that begins with what was awaited; nil: there was none.
func (c *watchedConn) failure(awaited string) error {
	fault := c.fault.Load()
	switch {
	case fault == nil:
		return nil
	case errors.Is(*fault, io.EOF):
		return wrongAnswer(awaited + ": the connection was closed without one")
	}
	return *fault
}
