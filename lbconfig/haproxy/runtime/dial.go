package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// connect opens one connection that lives no longer than the batch: it is bound by the settings' timeout, by ctx's
// deadline, and by ctx's end.
func (c *Client) connect(ctx context.Context) (net.Conn, func(), error) {
	deadline := time.Now().Add(c.settings.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn, err := c.dial(ctx, deadline)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", c.settings.Address, err)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("connect to %s: %w", c.settings.Address, err), conn.Close())
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { stop(); conn.Close() }, nil
}

// dial tries again while the listen queue of a unix socket is full: the kernel then answers EAGAIN at once, and a
// place may come free.
func (c *Client) dial(ctx context.Context, deadline time.Time) (net.Conn, error) {
	dialer := net.Dialer{Deadline: deadline}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		conn, err := c.dialOnce(ctx, &dialer)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, dialFault(err)
		}
		wait := time.NewTimer(min(pause, time.Until(deadline)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, newFault(ErrTimeout, ctx.Err(), "its listen queue is full, and the caller stopped waiting")
		}
		if !time.Now().Before(deadline) {
			return nil, newFault(ErrTimeout, err, "its listen queue is full: HAProxy is stopped, or its `stats maxconn` connections (default 10) are all in use")
		}
	}
}

func (c *Client) dialOnce(ctx context.Context, dialer *net.Dialer) (net.Conn, error) {
	switch {
	case c.settings.Network != "unix":
		return dialer.DialContext(ctx, c.settings.Network, c.settings.Address)
	case c.settings.abstract(): // HAProxy binds all 108 bytes of the address, filled up with NUL
		return dialer.DialContext(ctx, "unix", c.settings.Address+strings.Repeat("\x00", max(0, 108-len(c.settings.Address))))
	}
	socket, err := openSocket(c.settings.Address)
	if err != nil {
		return nil, err
	}
	defer socket.close()
	conn, err := dialer.DialContext(ctx, "unix", socket.path())
	if errors.Is(err, os.ErrNotExist) { // no /proc here
		return dialer.DialContext(ctx, "unix", c.settings.Address)
	}
	return conn, err
}

// abstract reports whether the address is a unix socket without a file, `abns@name` in HAProxy's config.
func (s Settings) abstract() bool { return strings.HasPrefix(s.Address, "@") }

// dialFault turns the kernel's answer into what to do about it.
func dialFault(err error) error {
	if f := (*fault)(nil); errors.As(err, &f) {
		return f
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return newFault(ErrMissing, err, "no such file: is HAProxy running, and does its `stats socket` line name this path?")
	case errors.Is(err, syscall.ECONNREFUSED):
		return newFault(ErrRefused, err, "nobody listens there: HAProxy is not running, or the socket is a stale one that it left behind")
	case errors.Is(err, os.ErrPermission):
		return newFault(ErrPermission, err, "permission denied: run as a user of the group that the `stats socket` line names (user, group, mode)")
	case errors.Is(err, syscall.ENOTSOCK), errors.Is(err, syscall.EPROTOTYPE):
		return newFault(ErrNotSocket, err, "not a stream socket: name the path of HAProxy's `stats socket` line")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return newFault(ErrTimeout, err, "no connection in time")
	}
	return err
}

func writeFault(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return newFault(ErrTimeout, err, "the request could not be written in time")
	}
	return newFault(ErrTruncated, err, "the connection broke before the request was written: %v", err)
}
