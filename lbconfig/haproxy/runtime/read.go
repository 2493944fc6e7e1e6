package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Query is one reading and what is done with each of its rows.
type Query struct {
	command Command
	read    func(*scratch) error
}

// Read asks the queries in one batch, behind `show info`, and says which process answered. It parses while HAProxy
// writes. A function of a query that returns an error ends the reading with that error.
func (c *Client) Read(ctx context.Context, queries ...Query) (Info, error) {
	request := []byte("set severity-output number;show info")
	for _, q := range queries {
		line, err := q.command.Encode()
		if err != nil {
			return Info{}, err
		}
		request = append(append(request, ';'), line...)
	}
	conn, closeConn, err := c.connect(ctx)
	if err != nil {
		return Info{}, err
	}
	defer closeConn()
	if _, err := conn.Write(append(request, '\n')); err != nil {
		return Info{}, fmt.Errorf("ask %s: %w", c.settings.Address, writeFault(err))
	}
	s := c.take()
	defer c.give(s)
	s.lines.reset(conn, c.settings.MaxReply)
	info, err := s.read(queries)
	if err != nil {
		return info, fmt.Errorf("read `%s` from %s: %w", bytes.TrimPrefix(request, []byte("set severity-output number;")), c.settings.Address, stopped(ctx, err))
	}
	return info, nil
}

func (s *scratch) read(queries []Query) (Info, error) {
	line, err := s.lines.next() // the answer to the severity command
	if err == io.EOF {
		return Info{}, newFault(ErrTruncated, nil, "the connection was closed without an answer: HAProxy is stopping, or this is not its socket")
	}
	if err != nil {
		return Info{}, err
	}
	if len(line) != 0 {
		return Info{}, newFault(ErrNotHAProxy, nil, "expected an empty line, got %s: is this the socket of a HAProxy?", quote(line))
	}
	info, err := readInfo(&s.lines)
	if err != nil {
		return info, err
	}
	for _, q := range queries {
		if err := q.read(s); err != nil {
			return info, err
		}
	}
	switch line, err := s.lines.next(); {
	case err == io.EOF:
		return info, nil
	case err != nil:
		return info, err
	default:
		return info, newFault(ErrNotHAProxy, nil, "more came than was asked for: %s", quote(line))
	}
}

// stopped says so where the caller's ctx, not the peer, ended the batch.
func stopped(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ErrTimeout) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return err
}

// Info asks which process answers, and how it is.
func (c *Client) Info(ctx context.Context) (Info, error) { return c.Read(ctx) }

// Stat is Read of Stat alone.
func (c *Client) Stat(ctx context.Context, each func(*StatRow) error) (Info, error) {
	return c.Read(ctx, Stat(each))
}

// ServersState is Read of ServerStates alone.
func (c *Client) ServersState(ctx context.Context, backend string, each func(*ServerState) error) (Info, error) {
	return c.Read(ctx, ServerStates(backend, each))
}

// Sessions is Read of Sessions alone.
func (c *Client) Sessions(ctx context.Context, each func(*Session) error) (Info, error) {
	return c.Read(ctx, Sessions(each))
}
