// Package client asks another lbmedic for the health of a service, by one long poll a host. Whatever keeps the answer from coming is
// an error, which means unknown, never fail: a sidecar that restarts takes no server out.
package client

import (
	"context"
	"errors"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Settings of a Client; the zero value is fit to use.
type Settings struct {
	// Timeout is how long an answer may take beyond the wait that was asked for; 2 s.
	Timeout time.Duration
}

// Answer is what a sidecar said.
type Answer struct {
	Service    string         // its name there; empty for the whole instance
	Status     healthd.Status // Unknown while Starting
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
type Client struct{ settings Settings }

// New makes a client.
func New(s Settings) *Client { return &Client{settings: s} }

// Ask asks once. With after, the Generation of an earlier answer, the sidecar answers when something has changed since, or when wait is over.
func (c *Client) Ask(ctx context.Context, url, after string, wait time.Duration) (Answer, error) {
	return Answer{}, errors.ErrUnsupported
}

// Follow asks for ever by long polls and tells each answer, and each error, to hear, until ctx ends.
func (c *Client) Follow(ctx context.Context, url string, hear func(Answer, error)) {
	<-ctx.Done()
}
