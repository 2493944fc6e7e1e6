package runtime

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// listen opens a unix socket and hands each connection to serve, one after the other; all are closed when the test ends.
func listen(t testing.TB, serve func(net.Conn)) (path string) {
	t.Helper()
	path = filepath.Join(peertest.Dir(t), "fake.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return path
}

// newRelay is a proxy in front of whatever dial gives; it carries one connection at a time.
func newRelay(t testing.TB, dial func(client net.Conn) (net.Conn, error)) (path string) {
	return listen(t, func(client net.Conn) {
		server, err := dial(client)
		if err != nil {
			return
		}
		go func() {
			io.Copy(server, client)
			if half, ok := server.(*net.UnixConn); ok {
				half.CloseWrite()
			}
		}()
		io.Copy(client, server)
		server.Close()
	})
}

// cutConn ends after a number of bytes read from it.
type cutConn struct {
	net.Conn
	left int
}

var errCut = errors.New("cut")

func (c *cutConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errCut
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
