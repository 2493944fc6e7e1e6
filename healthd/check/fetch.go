package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/lbmedic/lbmedic/healthd"
)

// fetch asks a server's own health API once by GET, over a fresh connection, with the user of the URL. It follows no redirect and reads
// at most MaxBody bytes.
func fetch(ctx context.Context, target *url.URL, secure *tlsClient) (status int, body []byte, err error) {
	c, err := openLine(ctx, hostPort(target), map[bool]*tlsClient{true: secure}[target.Scheme == "https"])
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = c.Close() }() // a reset is wanted; an error of it says nothing of the answer
	req := &http.Request{Method: http.MethodGet, URL: target, Host: target.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: http.Header{"User-Agent": {"lbmedic"}, "Accept": {"application/json"}}}
	if target.User != nil {
		password, _ := target.User.Password()
		req.SetBasicAuth(target.User.Username(), password)
	}
	if err := req.Write(c); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.r, req)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	switch {
	case err != nil && isTimeout(err):
		return 0, nil, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, nil, fmt.Errorf("status %d, but the body was cut off", resp.StatusCode)
	case err != nil:
		return 0, nil, err
	case len(body) > MaxBody:
		return 0, nil, fmt.Errorf("status %d, but a body longer than %d bytes", resp.StatusCode, MaxBody)
	}
	return resp.StatusCode, body, nil
}

// apiTarget reads the URL of a server's API. Its errors show nothing of a user in it.
func apiTarget(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("is no url such as http://127.0.0.1:2379")
	}
	if err := validateHostPort(u.Hostname(), portOf(u)); err != nil {
		return nil, fmt.Errorf("%s: %w", healthd.Line(u.Redacted(), 80), err)
	}
	if u.Path == "" {
		u.Path = "/" // JoinPath would make a path without one of it, and a request line that is none
	}
	return u, nil
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
