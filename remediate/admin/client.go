package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/healthd"
)

// ErrNoDaemon is wrapped where nobody answers on the socket.
var ErrNoDaemon = errors.New("the daemon is not running")

// maxAnswer bounds what is read of one answer: 10,000 servers are about 5 MB.
const maxAnswer = 256 << 20

// Client asks the Server on a unix socket. Its errors say what to do; a request that was refused is a *Problem.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient asks on the socket at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 5 * time.Second}
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{socket: path, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true}}}
}

// Status is what all balancers and local services look like now.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Health is the snapshot of the local health services.
func (c *Client) Health(ctx context.Context) (*healthd.Snapshot, error) {
	s := new(healthd.Snapshot)
	if err := c.call(ctx, http.MethodGet, "/v1/health", nil, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Order has an order carried out.
func (c *Client) Order(ctx context.Context, o Order) (d Done, err error) {
	return d, c.call(ctx, http.MethodPost, "/v1/orders", o, &d)
}

// Freeze stops all automation until Thaw.
func (c *Client) Freeze(ctx context.Context, reason string) (d Done, err error) {
	return d, c.call(ctx, http.MethodPost, "/v1/freeze", Why{reason}, &d)
}

// Thaw lets automation act again.
func (c *Client) Thaw(ctx context.Context, reason string) (d Done, err error) {
	return d, c.call(ctx, http.MethodPost, "/v1/thaw", Why{reason}, &d)
}

// Release undoes takes of automation.
func (c *Client) Release(ctx context.Context, what Release) (r Released, err error) {
	return r, c.call(ctx, http.MethodPost, "/v1/release", what, &r)
}

// call makes one request whose answer is one JSON value.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, actTime+10*time.Second)
	defer cancel()
	res, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read the daemon's answer on %s: %w", c.socket, err)
	}
	return nil
}

// do sends a request and turns every refusal into an error.
func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://lbmedic"+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	return nil, c.refusal(res)
}

// explain says what to do about a socket that does not answer.
func (c *Client) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s does not exist; start it with `lbmedic run`, or name its socket with --socket", ErrNoDaemon, c.socket)
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers on %s; start it with `lbmedic run`", ErrNoDaemon, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not open %s: join the group %s (usermod -aG %s YOU, then log in again), or use sudo", c.socket, DefaultGroup, DefaultGroup)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the daemon on %s does not answer in time; is it stopped or overloaded?", c.socket)
	}
	return fmt.Errorf("ask the daemon on %s: %w", c.socket, err)
}

func (c *Client) refusal(res *http.Response) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	p := new(Problem)
	if kind == "application/problem+json" && json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(p) == nil {
		return p
	}
	return fmt.Errorf("what answers on %s is no lbmedic: status %s", c.socket, res.Status)
}
