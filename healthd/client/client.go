// Package client asks another lbmedic for the health of a service, by one long poll a host. Whatever keeps the answer from coming is
// an error, which means unknown, never fail: a sidecar that restarts takes no server out.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Settings of a Client; the zero value is fit to use.
type Settings struct {
	// Timeout is how long an answer may take beyond the wait that was asked for; 2 s.
	Timeout time.Duration
	// Token is sent as a bearer token, for sidecars on other hosts tell only its holders why a service fails. Only who has answered as a
	// sidecar does is sent it. Empty sends none.
	Token string
	// Transport makes the requests; nil is one of our own: no proxy from the environment, no decompression, at most two idle
	// connections a host, a header of at most 16 KiB.
	Transport http.RoundTripper
}

// Answer is what a sidecar said.
type Answer struct {
	Service    string         // its name there; empty for the whole instance
	Status     healthd.Status // its health apart from orders; Unknown while Starting
	Generation string         // INSTANCE-N, for the next Ask
	Stale      bool           // not measured lately, or before the sidecar's last start
	Starting   bool           // the sidecar has not finished its first round
	Admin      healthd.Admin  // State and Reason: an order given there
	Notes      []string       // for people, each made fit by healthd.Line
	Output     string         // why it does not pass, where the sidecar tells us
	Received   time.Time
}

// ErrNotSidecar means that something else answers there: the Lbmedic-Generation header is missing.
var ErrNotSidecar = errors.New("what answers there is no lbmedic")

// Client asks sidecars. It is safe for concurrent use.
type Client struct {
	timeout time.Duration
	token   string
	http    http.Client
}

// New makes a client.
func New(s Settings) *Client {
	c := &Client{timeout: s.Timeout, token: s.Token}
	if c.timeout <= 0 {
		c.timeout = 2 * time.Second
	}
	c.http.Transport = s.Transport
	if s.Transport == nil {
		c.http.Transport = &http.Transport{
			DialContext:            (&net.Dialer{Timeout: c.timeout, KeepAlive: 15 * time.Second}).DialContext,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        75 * time.Second, // below what a sidecar keeps one
			MaxResponseHeaderBytes: 16 << 10,
			TLSHandshakeTimeout:    c.timeout,
		}
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// Close gives the idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ask asks once. With after, the Generation of an earlier answer, the sidecar answers when something has changed since, or when wait is
// over; it caps wait at 60 s. The address is as for a balancer, such as http://10.0.0.5:7780/health/web.
func (c *Client) Ask(ctx context.Context, address, after string, wait time.Duration) (Answer, error) {
	wait = max(wait, 0)
	bounded, cancel := context.WithTimeout(ctx, wait+c.timeout)
	defer cancel()
	a, err := c.ask(bounded, address, after, wait)
	if err == nil && after == "" && c.token != "" { // now that it has shown what it is
		a, err = c.ask(bounded, address, a.Generation, 0)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("ask sidecar %s: %w", healthd.Line(address, 200), err)
	}
	return a, nil
}

func sidecarURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("that is not a url like http://10.0.0.5:7780/health/web")
	}
	return u, nil
}

func (c *Client) ask(ctx context.Context, address, after string, wait time.Duration) (Answer, error) {
	u, err := sidecarURL(address)
	if err != nil {
		return Answer{}, err
	}
	if after != "" {
		q := u.Query()
		q.Set("after", after)
		q.Set("wait", wait.String())
		u.RawQuery = q.Encode()
	}
	resp, body, err := c.get(ctx, u)
	if err != nil {
		return Answer{}, err
	}
	a, err := parse(resp.StatusCode, resp.Header, body)
	if err != nil {
		return Answer{}, err
	}
	a.Received = time.Now()
	return a, nil
}

// get reads the answer of a sidecar, no more than a byte beyond MaxBody.
func (c *Client) get(ctx context.Context, u *url.URL) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	if c.token != "" && u.Query().Has("after") { // it has answered as a sidecar before
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok { // names the address again
			err = ue.Err
		}
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // whatever ends it, the answer is read or refused
	if resp.Header.Get("Lbmedic-Generation") == "" {
		return nil, nil, ErrNotSidecar
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	return resp, body, nil
}
