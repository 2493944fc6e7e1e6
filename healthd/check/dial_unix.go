package check

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// noSocket is a missing unix socket: whoever should listen there does not, as with a port that refuses.
type noSocket string

func (s noSocket) Error() string { return "no socket at " + string(s) }

func (s noSocket) Unwrap() error { return syscall.ECONNREFUSED }

// fullBacklog is how long a connection waits before it is tried again.
const fullBacklog = 10 * time.Millisecond

// dialUnix connects to a unix socket by its path. Its deadline is that of ctx. Where the backlog is full the kernel says so at once (EAGAIN),
// unlike TCP, which tries again by itself: so it is tried until the server accepts or ctx ends.
func dialUnix(ctx context.Context, path string) (*net.UnixConn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	for errors.Is(err, syscall.EAGAIN) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(fullBacklog):
			c, err = d.DialContext(ctx, "unix", path)
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, noSocket(path)
	}
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UnixConn) // what a dial of network unix returns
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}
