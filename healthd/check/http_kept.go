package check

import (
	"net"
	"syscall"
	"time"
)

const (
	// keptIdle is how long a connection waits for the next probe: less than the 75 s of nginx, after which the server closes it.
	keptIdle = 60 * time.Second
	// keptFor is how long one connection is used at all. Then the name is resolved anew, and the certificate shown and judged anew;
	// TLS sessions are not resumed, for neither would happen.
	keptFor = 5 * time.Minute
)

// httpConn is a connection of an http check.
type httpConn struct {
	under net.Conn // of the kernel: deadlines and the reset are its
	conn  net.Conn // what requests go over: under, or TLS over it
	made  time.Time
	idle  *time.Timer // closes it; nil before it was kept
}

// keptConn keeps at most one connection between two probes. The zero value keeps none yet. A check that is given up needs no end: its
// connection ends when it has been idle for keptIdle.
type keptConn struct{ c *httpConn }

// put keeps c, whose deadline is taken off: it would wake the program once more for each probe.
func (k *keptConn) put(c *httpConn) {
	if err := c.under.SetDeadline(time.Time{}); err != nil {
		_ = c.under.Close() // it is closed already
		return
	}
	k.c = c
	if c.idle != nil {
		c.idle.Reset(keptIdle)
		return
	}
	c.idle = time.AfterFunc(keptIdle, func() { _ = c.under.Close() })
}

// take gives the connection kept, if it is still good; nil: there is none.
func (k *keptConn) take() *httpConn {
	c := k.c
	k.c = nil
	if c == nil || !c.idle.Stop() {
		return nil
	}
	if time.Since(c.made) > keptFor || !silent(c.under) {
		_ = c.under.Close()
		return nil
	}
	return c
}

// silent reports whether the connection is open with nothing to read: neither an end, nor an answer nobody asked for, nor a TLS alert.
func silent(c net.Conn) bool {
	raw, err := c.(syscall.Conn).SyscallConn() // a TCPConn or a UnixConn, by connect
	if err != nil {
		return false
	}
	nothing := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		nothing = err == syscall.EAGAIN
		return true
	})
	return err == nil && nothing
}
