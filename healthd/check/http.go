package check

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// httpKind asks over a fresh connection, which is closed by a reset, or with reuse over one that is kept. Redirects are an answer like
// any other and never followed; no proxy is taken from the environment; no encoding is offered, so nothing is decompressed.
var httpKind = Kind{
	Doc:         "a URL answers with a status, and a body, that is expected",
	Target:      Option{Doc: "URL to ask", Type: URL, Secret: true},
	Measurement: "responseTime",
	Example:     `{http: http://127.0.0.1:8080/healthz, status: 200-299, json: ["status = UP", "checks[0].lag < 5"]}`,
	Options: append([]Option{
		{Key: "method", Doc: "HTTP method", Type: Word, Words: httpMethods, Default: []string{http.MethodGet}},
		{Key: "host", Doc: "Host header, and TLS server name, instead of the URL's", Type: Host},
		{Key: "headers", Doc: "headers that are sent, each as Name: value", Type: Text, List: true, Secret: true},
		{Key: "body", Doc: "what a POST sends", Type: Text, Secret: true},
		{Key: "status", Doc: "status codes that pass", Type: StatusCodes, List: true, Default: []string{"200-399"}},
		{Key: "expect", Doc: "text that the body must contain", Type: Text},
		{Key: "json", Doc: `what the body must say, each as PATH OPERATOR VALUE: checks[0].lag < 5, status = UP, $["odd name"] != null; operators are = != < <= > >=`, Type: Text, List: true},
		{Key: "socket", Doc: "unix socket to ask through; the URL then names only path and host", Type: Path},
		{Key: "reuse", Doc: "keep one connection from a probe to the next, for at most 5m", Type: Bool},
	}, tlsOptions...),
	New: newHTTP,
}

// httpProbe is one http check. It is used by one goroutine at a time.
type httpProbe struct {
	asked   *http.Request // whose method says whether a body comes
	raw     []byte        // the request as it is sent
	socket  string        // path of a unix socket, instead of address
	address string        // host:port
	secure  *tlsClient    // nil: plain
	server  string        // whose certificate is asked for
	expects httpExpectation
	reuse   bool
	kept    keptConn
}

func (p *httpProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	status, err := p.ask(ctx)
	if err == nil {
		return passed(start, fmt.Sprintf("status %d", status))
	}
	return failed(ctx, start, "no http answer", err)
}

func (p *httpProbe) ask(ctx context.Context) (int, error) {
	if conn := p.kept.take(); conn != nil {
		status, heard, err := p.exchange(ctx, conn)
		if err == nil || heard || ctx.Err() != nil {
			return status, err
		}
		// The server closed it between the look at it and the request, which it may do. The answer counts that comes over a fresh one.
	}
	tcp, conn, err := p.connect(ctx)
	if err != nil {
		return 0, err
	}
	status, _, err := p.exchange(ctx, &httpConn{under: tcp, conn: conn, made: time.Now()})
	return status, err
}

// connect gives the connection that requests go over, and the one below its TLS.
func (p *httpProbe) connect(ctx context.Context) (under, over net.Conn, err error) {
	if p.socket != "" {
		under, err = dialUnix(ctx, p.socket)
	} else {
		under, err = dial(ctx, p.address)
	}
	if err != nil {
		return nil, nil, err
	}
	if p.secure == nil {
		return under, under, nil
	}
	secure, err := p.secure.handshake(ctx, under, p.server)
	if err != nil {
		_ = under.Close() // a reset; the handshake's error says more
		return nil, nil, err
	}
	return under, secure, nil
}

// exchange sends the request over c and judges the answer; heard reports whether any byte of one came. It keeps or closes c.
func (p *httpProbe) exchange(ctx context.Context, c *httpConn) (status int, heard bool, err error) {
	keep := false
	stop := context.AfterFunc(ctx, func() { _ = c.under.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if stop() && keep {
			p.kept.put(c)
			return
		}
		_ = c.under.Close() // the reset is wanted; an error of it would say nothing about the answer
	}()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.under.SetDeadline(deadline); err != nil {
			return 0, false, err
		}
	}
	if _, err := c.conn.Write(p.raw); err != nil {
		return 0, false, err
	}
	limited := &io.LimitedReader{R: c.conn, N: maxHead}
	r := answerReaders.Get().(*bufio.Reader)
	defer answerReaders.Put(r)
	defer r.Reset(nil)
	r.Reset(limited)
	a := httpAnswer{limit: limited, r: r}
	status, err = a.judge(p.asked, p.expects)
	keep = p.reuse && a.complete
	return status, limited.N < maxHead, err
}

// answerReaders are between two answers. Their buffers are half of what a probe would allocate, and one for each check would be most of its memory.
var answerReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4096) }}
