package client

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/lbmedic/lbmedic/healthd"
)

// Seen is what a sibling sees of the dependencies that it shares with others.
type Seen struct {
	Instance  string             // names the sibling's run, so that one who asks himself notices
	Sightings []healthd.Sighting // each Dependency is a healthd.Digest
}

// Sightings asks a sibling once. The address is that of its health, such as http://10.0.0.5:7780/health/web.
func (c *Client) Sightings(ctx context.Context, address string) (Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	seen, err := c.sightings(ctx, address)
	if err != nil {
		return Seen{}, fmt.Errorf("ask sibling %s: %w", healthd.Line(address, 200), err)
	}
	return seen, nil
}

func (c *Client) sightings(ctx context.Context, address string) (Seen, error) {
	u, err := sidecarURL(address)
	if err != nil {
		return Seen{}, err
	}
	u.RawQuery = "shared"
	resp, body, err := c.get(ctx, u)
	if err != nil {
		return Seen{}, err
	}
	return parseSeen(resp.StatusCode, resp.Header, body)
}

// parseSeen reads the answer of a sibling. One that is older than the question answers with its health, which says nothing about dependencies.
func parseSeen(code int, h http.Header, body []byte) (Seen, error) {
	instance, _, err := healthd.ParseTag(h.Get("Lbmedic-Generation"))
	if err != nil {
		return Seen{}, err
	}
	if kind, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || kind != "application/json" || code != http.StatusOK {
		return Seen{}, fmt.Errorf("status %d with %q instead of what it sees of shared dependencies; is it an older lbmedic, or not its /health/SERVICE?",
			code, healthd.Line(h.Get("Content-Type"), 80))
	}
	if len(body) > MaxBody {
		return Seen{}, errors.New("an answer that is too long")
	}
	seen, err := healthd.ParseSightings(body)
	return Seen{instance, seen}, err
}
