package runtime

import (
	"bytes"
	"io"
	"strconv"
	"time"
)

// Session is one line of `show sess`: a stream that HAProxy carries. Idle and silent client connections are none.
type Session struct {
	Pointer  uint64 // names the session to ShutSession, in this process, while it lives
	Proto    string // "tcpv4", "unix_stream", "sockpair"
	Source   string // "10.0.0.9:40112"
	Frontend string // "GLOBAL" is the runtime API itself: this very question
	Backend  string // empty: not chosen yet
	Server   string // empty: none
	Age      time.Duration
}

// CLI reports whether the session is a runtime API connection and no traffic.
func (s *Session) CLI() bool { return s.Frontend == "GLOBAL" }

// Sessions asks `show sess`. As with Stat the row is reused.
func Sessions(each func(*Session) error) Query {
	return Query{Command{Verb: ShowSessions}, func(s *scratch) error { return readSessions(&s.lines, &s.names, each) }}
}

// ParseSessions reads the reply of `show sess`, its final empty line included.
func ParseSessions(r io.Reader, each func(*Session) error) error {
	return readSessions(newLines(r, DefaultMaxReply), &interner{}, each)
}

func readSessions(l *lines, names *interner, each func(*Session) error) error {
	var row Session
	for {
		line, err := l.next()
		switch {
		case err == io.EOF:
			return newFault(ErrTruncated, nil, "`show sess` ends after %d bytes without its empty line", l.total)
		case err != nil:
			return err
		case len(line) == 0:
			return nil
		}
		if words, isError := errorLine(line); isError {
			return said(words)
		}
		row = Session{}
		if err := row.fill(line, names); err != nil {
			return err
		}
		if err := each(&row); err != nil {
			return err
		}
	}
}

// fill reads "0x55…: proto=tcpv4 src=127.0.0.1:44374 fe=f be=<NONE> srv=<none> … age=2s …": words of the form
// key=value in an order that differs between versions, of which the first of each key counts.
func (s *Session) fill(line []byte, names *interner) error {
	pointer, rest, ok := bytes.Cut(line, []byte(": "))
	if !ok || !decodeSessionPointer(pointer, &s.Pointer) {
		return newFault(ErrNotHAProxy, nil, "expected a session of `show sess`, got %s", quote(line))
	}
	for len(rest) > 0 {
		var word []byte
		word, rest, _ = bytes.Cut(rest, []byte{' '})
		key, value, _ := bytes.Cut(word, []byte{'='})
		switch string(key) {
		case "proto":
			s.Proto = names.intern(value)
		case "src":
			s.Source = string(value) // too many different ones to intern
		case "fe":
			s.Frontend = names.intern(value)
		case "be":
			s.Backend = names.intern(none(value))
		case "srv":
			s.Server = names.intern(none(value))
		case "age":
			if s.Age, ok = parseAge(string(value)); !ok {
				return newFault(ErrNotHAProxy, nil, "`show sess` gives %s as an age", quote(value))
			}
		}
	}
	if s.Frontend == "" {
		return newFault(ErrNotHAProxy, nil, "a session of `show sess` has no frontend: %s", quote(line))
	}
	return nil
}

func decodeSessionPointer(b []byte, to *uint64) bool {
	digits, ok := bytes.CutPrefix(b, []byte("0x"))
	n, err := strconv.ParseUint(string(digits), 16, 64)
	*to = n
	return ok && err == nil && n != 0
}

func none(value []byte) []byte {
	if string(value) == "<NONE>" || string(value) == "<none>" {
		return nil
	}
	return value
}
