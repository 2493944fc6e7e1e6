package runtime

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// MaxLine is the longest line of a reply, in bytes. HAProxy cannot write one longer than its buffer, 16 KiB by default.
const MaxLine = 1 << 20

// lines cuts a reply into lines while it arrives. A line lies in the buffer and holds until the next call.
type lines struct {
	r     io.Reader
	buf   []byte
	start int   // first byte not handed out yet
	end   int   // end of the bytes read
	left  int64 // bytes that may still be read
	total int64 // bytes read
	cap   int64
}

// newLines reads from r, at most most bytes. Its buffer begins small and grows with the lines.
func newLines(r io.Reader, most int64) *lines {
	l := &lines{buf: make([]byte, 4<<10)}
	l.reset(r, most)
	return l
}

func (l *lines) reset(r io.Reader, most int64) {
	l.r, l.start, l.end, l.left, l.total, l.cap = r, 0, 0, most, 0, most
}

// next is the next line without its line end. At the end of the reply it returns io.EOF, in the middle of a line ErrTruncated.
func (l *lines) next() ([]byte, error) { return l.nextFrom(0) }

// nextFrom is next, where the first skip bytes are known to belong to the line.
func (l *lines) nextFrom(skip int) ([]byte, error) {
	from := l.start + skip
	for {
		if i := bytes.IndexByte(l.buf[from:l.end], '\n'); i >= 0 {
			line := l.buf[l.start : from+i]
			l.start = from + i + 1
			return line, nil
		}
		done := l.end - l.start
		if err := l.fill(); err != nil {
			return nil, err
		}
		from = l.start + done
	}
}

// record is the next line of CSV: a newline inside double quotes belongs to it.
func (l *lines) record() ([]byte, error) {
	line, err := l.next()
	if err != nil || bytes.IndexByte(line, '"') < 0 {
		return line, err
	}
	length := len(line)
	open := bytes.Count(line, quoteMark)%2 == 1
	for open {
		l.start -= length + 1 // take the line back, with its newline: it has to stay in the buffer
		more, err := l.nextFrom(length + 1)
		if err != nil {
			return nil, err
		}
		open = bytes.Count(more[length+1:], quoteMark)%2 == 0 // an even number of quotes leaves it open
		line, length = more, len(more)
	}
	return line, nil
}

var quoteMark = []byte{'"'}

// fill reads more behind the bytes that are still needed.
func (l *lines) fill() error {
	if l.end-l.start > MaxLine {
		return newFault(ErrNotHAProxy, nil, "a line of the reply is longer than %d bytes: %s", MaxLine, quote(l.buf[l.start:l.end]))
	}
	if l.start > 0 {
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	if l.end == len(l.buf) {
		l.buf = append(l.buf, make([]byte, len(l.buf))...)
	}
	n, err := l.r.Read(l.buf[l.end:])
	l.end += n
	l.total += int64(n)
	l.left -= int64(n)
	switch {
	case l.left < 0:
		return newFault(ErrTooLarge, nil, "the reply is longer than %d bytes", l.cap)
	case n > 0:
		return nil
	case err == nil:
		return newFault(ErrTruncated, io.ErrNoProgress, "the connection gave no bytes")
	case !errors.Is(err, io.EOF):
		return l.broken(err)
	case l.end > l.start:
		return newFault(ErrTruncated, nil, "the reply ends in the middle of a line, after %d bytes", l.total)
	}
	return io.EOF
}

func (l *lines) broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if l.total == 0 {
			return newFault(ErrTimeout, err, "not one byte came back in time: HAProxy is stopped or overloaded, or its `stats maxconn` connections (default 10) are all in use")
		}
		return newFault(ErrTimeout, err, "the reply stopped after %d bytes and its time is up", l.total)
	}
	return newFault(ErrTruncated, err, "the connection broke after %d bytes: %v", l.total, err)
}
