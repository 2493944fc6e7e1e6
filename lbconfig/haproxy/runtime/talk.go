package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
)

// talk is an interactive connection: it stays with one worker over several questions, which a one-line batch cannot.
// HAProxy ends such a connection by itself only if told so: `stats timeout` does not hold behind `prompt`, but
// `set timeout cli` does.
type talk struct {
	conn  net.Conn
	lines lines
}

const prompt = "\n> "

// open starts the conversation and reads who is at the other end.
func (c *Client) open(ctx context.Context) (*talk, Info, func(), error) {
	conn, closeConn, err := c.connect(ctx)
	if err != nil {
		return nil, Info{}, nil, err
	}
	t := &talk{conn: conn, lines: *newLines(conn, c.settings.MaxReply)}
	seconds := int(math.Ceil(c.settings.Timeout.Seconds())) + 1
	greeting := fmt.Sprintf("set timeout cli %d", seconds)
	info, err := t.greet("prompt", "set severity-output number", greeting, "show info")
	if err != nil {
		closeConn()
		return nil, info, nil, fmt.Errorf("read `show info` from %s: %w", c.settings.Address, stopped(ctx, err))
	}
	return t, info, closeConn, nil
}

func (t *talk) greet(requests ...string) (Info, error) {
	if err := t.send(requests...); err != nil {
		return Info{}, err
	}
	for range requests[1:] {
		text, err := t.answer()
		if err != nil {
			return Info{}, err
		}
		if text != "" {
			return Info{}, newFault(ErrNotHAProxy, nil, "expected an empty answer to the greeting, got %s: is this the socket of a HAProxy?", quote([]byte(text)))
		}
	}
	return t.info()
}

// send writes all lines at once, so that nothing of ours can come between them.
func (t *talk) send(requests ...string) error {
	if _, err := t.conn.Write([]byte(strings.Join(requests, "\n") + "\n")); err != nil {
		return writeFault(err)
	}
	return nil
}

// answer reads up to the next prompt: the answer to one line, without the newline that ends it. It is empty where the
// command was carried out.
func (t *talk) answer() (string, error) {
	l := &t.lines
	for {
		if i := bytes.Index(l.buf[l.start:l.end], []byte(prompt)); i >= 0 {
			text := string(l.buf[l.start : l.start+i])
			l.start += i + len(prompt)
			return text, nil
		}
		err := l.fill()
		switch {
		case err == io.EOF && l.total == 0:
			return "", newFault(ErrTruncated, nil, "the connection was closed without an answer: HAProxy is stopping, or this is not its socket")
		case err == io.EOF || errors.Is(err, ErrTruncated):
			return "", newFault(ErrTruncated, nil, "the connection ended after %d bytes, before HAProxy's prompt", l.total)
		case err != nil:
			return "", err
		}
	}
}

func (t *talk) info() (Info, error) {
	text, err := t.answer()
	if err != nil {
		return Info{}, err
	}
	return ParseInfo(strings.NewReader(text + "\n\n"))
}
