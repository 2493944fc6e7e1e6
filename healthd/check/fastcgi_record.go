package check

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
)

// The types of FastCGI records that are sent or understood (FastCGI Specification 1.0, section 8).
const (
	fcgiBegin  = 1
	fcgiEnd    = 3
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6
	fcgiStderr = 7
)

// maxFastCGI bounds an answer, its records and their padding included.
const maxFastCGI = 96 << 10

// fastcgiRequest is one request without a body, as a responder gets it, after which the server closes.
func fastcgiRequest(params [][2]string) []byte {
	var pairs []byte
	for _, p := range params {
		for _, text := range p {
			if len(text) < 128 {
				pairs = append(pairs, byte(len(text)))
			} else {
				pairs = binary.BigEndian.AppendUint32(pairs, uint32(len(text))|1<<31)
			}
		}
		pairs = append(append(pairs, p[0]...), p[1]...)
	}
	const responder = "\x00\x01\x00\x00\x00\x00\x00\x00" // and no FCGI_KEEP_CONN
	raw := fastcgiRecord(nil, fcgiBegin, []byte(responder))
	for len(pairs) > 0 {
		n := min(len(pairs), 65535)
		raw = fastcgiRecord(raw, fcgiParams, pairs[:n])
		pairs = pairs[n:]
	}
	return fastcgiRecord(fastcgiRecord(raw, fcgiParams, nil), fcgiStdin, nil)
}

func fastcgiRecord(to []byte, kind byte, content []byte) []byte {
	to = append(to, 1, kind, 0, 1, byte(len(content)>>8), byte(len(content)), 0, 0)
	return append(to, content...)
}

// fastcgiAnswer is what a responder wrote.
type fastcgiAnswer struct{ out, err string }

// readFastCGI reads records up to the end of the request.
func readFastCGI(from io.Reader) (fastcgiAnswer, error) {
	limited := &io.LimitedReader{R: from, N: maxFastCGI}
	r := bufio.NewReaderSize(limited, 4096)
	var out, errs strings.Builder
	for {
		kind, content, err := readRecord(r)
		switch {
		case err != nil && limited.N <= 0:
			return fastcgiAnswer{}, wrongAnswer(fmt.Sprintf("an answer longer than %d bytes", maxFastCGI))
		case errors.Is(err, io.EOF) && out.Len() == 0:
			return fastcgiAnswer{}, wrongAnswer("no fastcgi answer: the connection was closed without one")
		case errors.Is(err, io.EOF):
			return fastcgiAnswer{}, wrongAnswer("the answer was cut off")
		case err != nil:
			return fastcgiAnswer{}, err
		case kind == fcgiStdout:
			out.Write(content)
		case kind == fcgiStderr:
			errs.Write(content)
		case kind == fcgiEnd:
			return fastcgiAnswer{out.String(), errs.String()}, endOfRequest(content)
		}
	}
}

// readRecord reads one record. An end of the stream anywhere is io.EOF.
func readRecord(r io.Reader) (kind byte, content []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, noUnexpected(err)
	}
	if head[0] != 1 {
		return 0, nil, wrongAnswer(fmt.Sprintf("no fastcgi answer: it begins with %q", head[:]))
	}
	length, padding := int(binary.BigEndian.Uint16(head[4:])), int(head[6])
	content = make([]byte, length+padding)
	if _, err := io.ReadFull(r, content); err != nil {
		return 0, nil, noUnexpected(err)
	}
	return head[1], content[:length], nil
}

func noUnexpected(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// endOfRequest judges the status of the protocol in the last record.
func endOfRequest(content []byte) error {
	if len(content) < 5 {
		return wrongAnswer("no fastcgi answer: a last record that is cut off")
	}
	switch content[4] {
	case 0:
		return nil
	case 2:
		return wrongAnswer("the server is overloaded (FCGI_OVERLOADED)")
	}
	return wrongAnswer(fmt.Sprintf("the server refused the request with protocol status %d", content[4]))
}

// cgiAnswer takes the head off what a script wrote (RFC 3875, section 6): no Status is 200.
func cgiAnswer(out string) (status int, body string, err error) {
	r := bufio.NewReader(strings.NewReader(out))
	head, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		return 0, "", wrongAnswer("no cgi answer: its head is none")
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		return 0, "", err
	}
	status = 200
	if text := head.Get("Status"); text != "" {
		code, _, _ := strings.Cut(text, " ")
		if status, err = strconv.Atoi(code); err != nil || status < 100 || status > 599 {
			return 0, "", wrongAnswer(fmt.Sprintf("no cgi answer: its status is %.20q", text))
		}
	}
	return status, string(rest), nil
}
