package integration

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// relay stands between the controller and HAProxy's socket and passes everything on as it is.
type relay struct {
	listener net.Listener
	to       string
	word     []byte
	met      func() // called before the first bytes with the word are passed on
	once     sync.Once
}

// newRelay listens on a unix socket until the test ends.
func newRelay(t *testing.T, at, to, word string, met func()) *relay {
	t.Helper()
	l, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, to: to, word: []byte(word), met: met}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { r.pass(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	return r
}

func (r *relay) pass(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("unix", r.to)
	if err != nil {
		return
	}
	defer to.Close()
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(from, to) // either end may go away
		from.Close()
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if bytes.Contains(buf[:n], r.word) {
			r.once.Do(r.met)
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			break
		}
	}
	to.(*net.UnixConn).CloseWrite()
	answers.Wait()
}
