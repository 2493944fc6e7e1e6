package check

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// MaxBody is how much of a body is read. A longer one is a wrong answer: an endless one must not pass.
const MaxBody = 64 << 10

const (
	maxHead    = 16 << 10
	maxInterim = 5 // 1xx answers before the real one
)

// httpKind asks once over a fresh connection, which is closed by a reset. Redirects are an answer like any other and never followed;
// no proxy is taken from the environment; no encoding is offered, so nothing is decompressed.
var httpKind = Kind{
	Doc:         "a URL answers with a status, and a body, that is expected",
	Target:      Option{Doc: "URL to ask", Type: URL, Secret: true},
	Measurement: "responseTime",
	Example:     "{http: http://127.0.0.1:8080/healthz, status: 200-299, expect: ready}",
	Options: []Option{
		{Key: "method", Doc: "HTTP method", Type: Word, Words: []string{"GET", "HEAD", "OPTIONS"}, Default: []string{"GET"}},
		{Key: "host", Doc: "Host header and TLS server name instead of the URL's", Type: Host},
		{Key: "status", Doc: "status codes that pass", Type: StatusCodes, List: true, Default: []string{"200-399"}},
		{Key: "expect", Doc: "text that the body must contain", Type: Text},
	},
	New: func(s Settings) (Probe, error) {
		h := HTTP{Method: s.Text("method"), Host: s.Text("host"), Match: s.Text("expect")}
		for _, text := range s.Texts("status") {
			r, err := ParseStatusRange(text)
			if err != nil {
				return nil, KeyError{"status", err}
			}
			h.Status = append(h.Status, r)
		}
		if err := validateHTTP(s.Target(), h); err != nil {
			return nil, err
		}
		return func(ctx context.Context) healthd.Outcome { return probeHTTP(ctx, s.Target(), h) }, nil
	},
}

func probeHTTP(ctx context.Context, target string, s HTTP) healthd.Outcome {
	start := time.Now()
	status, err := ask(ctx, target, s)
	if err == nil {
		return passed(start, fmt.Sprintf("status %d", status))
	}
	return failed(ctx, start, "no http answer", err)
}

func ask(ctx context.Context, target string, s HTTP) (status int, err error) {
	req, u, err := request(target, s)
	if err != nil {
		return 0, err
	}
	tcp, err := dial(ctx, hostPort(u))
	if err != nil {
		return 0, err
	}
	// The reset on close is wanted; an error of it would say nothing about the answer.
	defer func() { _ = tcp.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	var conn net.Conn = tcp
	if u.Scheme == "https" {
		name, _, splitErr := net.SplitHostPort(req.Host)
		if splitErr != nil {
			name = req.Host
		}
		secure := tls.Client(tcp, &tls.Config{ServerName: strings.Trim(name, "[]"), InsecureSkipVerify: s.SkipVerify, MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return 0, fmt.Errorf("tls: %w", err)
		}
		conn = secure
	}
	if err := req.Write(conn); err != nil {
		return 0, err
	}
	return answer(bufio.NewReaderSize(io.LimitReader(conn, maxHead+MaxBody+1), 4096), req, s)
}

func request(target string, s HTTP) (*http.Request, *url.URL, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, nil, fmt.Errorf("http target %q: not a url", healthd.Line(target, 80))
	}
	host := u.Host
	if s.Host != "" {
		host = s.Host
	}
	method := http.MethodGet
	if s.Method != "" {
		method = s.Method
	}
	req := &http.Request{Method: method, URL: u, Host: host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: http.Header{"User-Agent": {"lbmedic"}, "Accept": {"*/*"}}}
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	return req, u, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// answer reads one response and judges it.
func answer(r *bufio.Reader, req *http.Request, s HTTP) (int, error) {
	resp, err := http.ReadResponse(r, req)
	for n := 0; err == nil && resp.StatusCode < 200 && n < maxInterim; n++ {
		resp, err = http.ReadResponse(r, req)
	}
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	switch {
	case !s.expects(resp.StatusCode):
		// What was read of the body matters no more, complete or not.
		return 0, wrongAnswer(fmt.Sprintf("status %d, expected %s", resp.StatusCode, s.expected()))
	case len(body) > MaxBody:
		return 0, wrongAnswer(fmt.Sprintf("status %d, but a body longer than %d bytes", resp.StatusCode, MaxBody))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, wrongAnswer(fmt.Sprintf("status %d, but the body was cut off after %d bytes", resp.StatusCode, len(body)))
	case err != nil:
		return 0, err
	case s.Match != "" && !bytes.Contains(body, []byte(s.Match)):
		return 0, wrongAnswer(fmt.Sprintf("status %d, but %q is not in the body", resp.StatusCode, s.Match))
	}
	return resp.StatusCode, nil
}
