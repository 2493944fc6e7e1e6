package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

// maxLine bounds one line of a stream: a record of the journal and what JSON adds.
const maxLine = 2 * journal.MaxRecord

// ErrWentAway is wrapped where the daemon ended in the middle of an answer. What was ordered stands.
var ErrWentAway = errors.New("the daemon went away")

// Events gives each event to each, oldest first, until there are no more, each fails, or ctx ends.
func (c *Client) Events(ctx context.Context, q EventQuery, each func(journal.Record) error) error {
	return stream(ctx, c, "/v1/events?"+q.values().Encode(), each)
}

// AwaitDrained tells each change of a drain and returns why the wait ended, with the last that was known.
func (c *Client) AwaitDrained(ctx context.Context, t remediate.Target, timeout time.Duration, tell func(Drain)) (last Drain, err error) {
	path := fmt.Sprintf("/v1/drains/%s/%s/%s?timeout=%s", url.PathEscape(t.Balancer), url.PathEscape(t.Backend), url.PathEscape(t.Server), timeout)
	err = stream(ctx, c, path, func(d Drain) error {
		last = d
		if d.End == "" {
			tell(d)
		}
		return nil
	})
	if err == nil && last.End == "" {
		err = fmt.Errorf("%w while %s was draining", ErrWentAway, t)
	}
	return last, err
}

// AwaitService tells each change of the drain of a local service and returns why the wait ended, with the last that was known.
func (c *Client) AwaitService(ctx context.Context, service string, timeout time.Duration, tell func(ServiceDrain)) (last ServiceDrain, err error) {
	path := fmt.Sprintf("/v1/drains/%s?timeout=%s", url.PathEscape(service), timeout)
	err = stream(ctx, c, path, func(d ServiceDrain) error {
		last = d
		if d.End == "" {
			tell(d)
		}
		return nil
	})
	if err == nil && last.End == "" {
		err = fmt.Errorf("%w while %s was draining", ErrWentAway, service)
	}
	return last, err
}

// stream reads an answer line by line.
func stream[T any](ctx context.Context, c *Client, path string, each func(T) error) error {
	res, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var value T
		if err := json.Unmarshal(lines.Bytes(), &value); err != nil {
			return fmt.Errorf("read the daemon's answer on %s: %w", c.socket, err)
		}
		if err := each(value); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil // the daemon went away; the caller knows by the last line
	case err != nil:
		return fmt.Errorf("read the daemon's answer on %s: %w", c.socket, err)
	}
	return nil
}
