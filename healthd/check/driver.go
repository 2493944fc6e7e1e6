//go:build !lite

package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// parting is how long a driver may still say goodbye, or cancel a query, once its probe has ended.
const parting = 300 * time.Millisecond

// maxWire bounds what is read of one connection, for drivers believe the lengths that a server names.
const maxWire = 4 << 20

// wire is what a driver of others dials with: our own dialer, on connections that end with the probe whatever the driver does, and a
// memory of the network's errors, which drivers hide behind words of their own. It is made anew for each probe.
type wire struct {
	ctx   context.Context
	last  time.Time // when the last farewell is over; zero: never
	mu    sync.Mutex
	met   error
	conns []*wireEnd

	deaf     bool                     // the driver does not hear ctx: its connections are closed when ctx is done
	greeting func(first []byte) error // refuses what another protocol begins with, where the driver would wait for more; nil takes any
	leaving  atomic.Bool              // the driver says goodbye now, and the server will end the connection
}

func newWire(ctx context.Context) *wire {
	w := &wire{ctx: ctx}
	if deadline, ok := ctx.Deadline(); ok {
		w.last = deadline.Add(parting)
	}
	return w
}

// dial is for the network "tcp" of any address, or "unix" of an absolute path.
func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if w.ctx.Err() != nil { // a farewell over a new connection, such as the cancel of a query
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, parting)
		defer stop()
	}
	if network != "unix" && strings.HasPrefix(address, "/") {
		return nil, errors.New("the path of a unix socket is no address of a TCP server")
	}
	conn, err := dialAny(ctx, address)
	if err != nil {
		return nil, w.note(err)
	}
	end := &wireEnd{Conn: conn, wire: w}
	if err := end.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if w.deaf {
		end.release = context.AfterFunc(w.ctx, func() { _ = conn.Close() })
	}
	w.mu.Lock()
	w.conns = append(w.conns, end)
	w.mu.Unlock()
	return end, nil
}

// note keeps the first error of the network.
func (w *wire) note(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.met == nil && err != nil && !errors.Is(err, net.ErrClosed) {
		w.met = err
	}
	return err
}

// cut ends every connection by a reset.
func (w *wire) cut() {
	w.mu.Lock()
	conns := slices.Clone(w.conns)
	w.mu.Unlock()
	for _, c := range conns {
		_ = c.Conn.Close() // most are closed already
	}
}

// failed is failed for an error of a driver: what the network met comes before what the driver made of it.
func (w *wire) failed(start time.Time, awaited string, err error) healthd.Outcome {
	w.mu.Lock()
	met := w.met
	w.mu.Unlock()
	_, told := errors.AsType[wrongAnswer](err)
	switch {
	case told:
	case w.ctx.Err() != nil:
		err = w.ctx.Err()
	case errors.Is(met, io.EOF), errors.Is(met, io.ErrUnexpectedEOF):
		err = errors.New("the connection was closed within an answer")
	case met != nil:
		err = met
	}
	return failed(w.ctx, start, awaited, err)
}

// wireEnd is one connection of a wire.
type wireEnd struct {
	net.Conn
	wire    *wire
	read    int         // bytes so far
	release func() bool // where the wire is deaf
}

func (c *wireEnd) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.read == 0 && n > 0 && err == nil && c.wire.greeting != nil {
		err = c.wire.greeting(p[:n])
	}
	if c.read += n; c.read > maxWire && err == nil {
		err = fmt.Errorf("more than %d bytes", maxWire)
	}
	return n, c.wire.note(err)
}

func (c *wireEnd) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.wire.note(err)
}

func (c *wireEnd) bounded(t time.Time) time.Time {
	if last := c.wire.last; !last.IsZero() && (t.IsZero() || t.After(last)) {
		return last
	}
	return t
}

func (c *wireEnd) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.bounded(t)) }
func (c *wireEnd) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.bounded(t)) }
func (c *wireEnd) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.bounded(t)) }

// Close waits a moment for the server's own end, where the driver has said goodbye: a reset before it would be an error in the server's
// log. Then it resets, so that no TIME_WAIT stays on either side. A connection given up before, such as the one of a fallback
// from TLS, ends in order.
func (c *wireEnd) Close() error {
	if c.release != nil {
		c.release()
	}
	switch tcp, ok := c.Conn.(*net.TCPConn); {
	case c.wire.ctx.Err() != nil, c.wire.deaf: // a deaf driver reads on by itself until the end
	case c.wire.leaving.Load():
		if c.Conn.SetReadDeadline(time.Now().Add(parting)) == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(c.Conn, maxLineConn)) // what comes now is of no use
		}
	case ok:
		_ = tcp.SetLinger(-1) // else it is a reset
	}
	return c.Conn.Close()
}
