package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	maxLine     = 16 << 10  // a line of a protocol made of lines; the INFO of a big NATS cluster is the longest
	maxLineConn = 256 << 10 // all that is read of one connection
)

// lineConn is a fresh connection to a server whose protocol is made of lines. Its reads and writes end with ctx.
type lineConn struct {
	net.Conn
	r       *bufio.Reader
	release func() bool
}

// openLine connects to host:port, or to the unix socket of an absolute path, and over TLS where secure is given.
func openLine(ctx context.Context, address string, secure *tlsClient) (*lineConn, error) {
	raw, err := dialAny(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &lineConn{Conn: raw, release: context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })}
	c.r = bufio.NewReaderSize(io.LimitReader(raw, maxLineConn), maxLine)
	if secure != nil {
		if err := c.startTLS(ctx, secure, address); err != nil {
			_ = c.Close() // what went wrong is told already
			return nil, err
		}
	}
	return c, nil
}

// dialAny is dial for whatever address a check may have: host:port, or the absolute path of a unix socket.
func dialAny(ctx context.Context, address string) (net.Conn, error) {
	if !strings.HasPrefix(address, "/") {
		return dial(ctx, address)
	}
	return dialUnix(ctx, address)
}

// startTLS goes on over TLS, with the server of the address.
func (c *lineConn) startTLS(ctx context.Context, secure *tlsClient, address string) error {
	host, _, _ := net.SplitHostPort(address) // a unix socket has none: then tls_name says whom to expect
	over, err := secure.handshake(ctx, c.Conn, host)
	if err != nil {
		return err
	}
	c.Conn = over
	c.r = bufio.NewReaderSize(io.LimitReader(over, maxLineConn), maxLine)
	return nil
}

// line reads one line, without its end.
func (c *lineConn) line() (string, error) { return readLine(c.r) }

// say writes all of it.
func (c *lineConn) say(text string) error {
	_, err := io.WriteString(c.Conn, text)
	return err
}

// Close ends the connection by a reset where it is a TCP one.
func (c *lineConn) Close() error {
	c.release()
	return c.Conn.Close()
}

func readLine(r *bufio.Reader) (string, error) {
	text, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("a line longer than %d bytes", maxLine)
	case errors.Is(err, io.EOF) && len(text) > 0:
		return "", errors.New("the connection was closed within a line")
	case errors.Is(err, io.EOF):
		return "", errors.New("the connection was closed without an answer")
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// validateServer is validateAddress for a check that takes a unix socket's path too.
func validateServer(address string) error {
	if strings.HasPrefix(address, "/") {
		return nil
	}
	return validateAddress(address)
}

// tlsOption is for kinds that speak TLS only where they are told to; naming any of tlsOptions tells them too.
var tlsOption = Option{Key: "tls", Doc: "speak TLS; naming any other key of TLS turns it on too", Type: Bool, Default: []string{"false"}}

// needlessTLS refuses keys of TLS where none is spoken, for they would do nothing and look as if they did.
func needlessTLS(s Settings, spoken bool) error {
	for _, o := range tlsOptions {
		if !spoken && s.Has(o.Key) {
			return KeyError{o.Key, errors.New("does nothing, for the url is of a protocol without TLS; make it one with, or remove the key")}
		}
	}
	return nil
}

// optionalTLS is nil where the config does not ask for TLS.
func optionalTLS(s Settings) (*tlsClient, error) {
	if !s.Bool(tlsOption.Key) && !tlsKeys(s) {
		return nil, nil
	}
	return tlsConfig(s)
}
