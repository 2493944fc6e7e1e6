package check

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// MaxBody is how much of a body is read. A longer one is a wrong answer: an endless one must not pass.
const MaxBody = 64 << 10

const (
	maxHead    = 16 << 10
	maxInterim = 5 // 1xx answers before the real one
)

// httpAnswer reads one answer, within bounds.
type httpAnswer struct {
	limit    *io.LimitedReader // below r, with maxHead left
	r        *bufio.Reader
	complete bool // the answer was read to its end, and another may follow over the connection
}

// judge reads the answer to asked and says its status, or in what it is not the one expected.
func (a *httpAnswer) judge(asked *http.Request, want httpExpectation) (int, error) {
	if err := a.speaksHTTP(); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(a.r, asked)
	for n := 0; err == nil && resp.StatusCode < 200 && n < maxInterim; n++ {
		resp, err = http.ReadResponse(a.r, asked)
	}
	switch {
	case err != nil && a.limit.N <= 0:
		return 0, wrongAnswer(fmt.Sprintf("no http answer: a head longer than %d bytes", maxHead))
	case err != nil:
		return 0, err
	case !want.expects(resp.StatusCode):
		// The body matters no more, complete or not.
		return 0, wrongAnswer(fmt.Sprintf("status %d, expected %s", resp.StatusCode, want.codes()))
	}
	a.limit.N += 2 * MaxBody // its own length is bounded below; in chunks it takes more on the wire
	body, length, err := want.read(io.LimitReader(resp.Body, MaxBody+1))
	switch {
	case length > MaxBody || err != nil && a.limit.N <= 0:
		return 0, wrongAnswer(fmt.Sprintf("status %d, but a body longer than %d bytes", resp.StatusCode, MaxBody))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, wrongAnswer(fmt.Sprintf("status %d, but the body was cut off after %d bytes", resp.StatusCode, length))
	case err != nil:
		return 0, err
	}
	a.complete = !resp.Close && a.r.Buffered() == 0
	if wrong := want.bodyTrouble(body); wrong != "" {
		return 0, wrongAnswer(fmt.Sprintf("status %d, but %s", resp.StatusCode, wrong))
	}
	return resp.StatusCode, nil
}

// speaksHTTP refuses an answer of another protocol, by its own words.
func (a *httpAnswer) speaksHTTP() error {
	const begin = "HTTP/"
	first, err := a.r.Peek(len(begin))
	if err != nil || string(first) == begin {
		return nil // or whatever it is that ReadResponse says of so few bytes
	}
	if first, err = a.r.Peek(min(a.r.Buffered(), 60)); err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(first), "\n")
	return wrongAnswer(fmt.Sprintf("no http answer: it begins with %q", strings.TrimSuffix(line, "\r")))
}

// read reads to the end. What nobody asks about is not kept.
func (e httpExpectation) read(body io.Reader) (kept []byte, length int64, err error) {
	if e.text == "" && len(e.json) == 0 {
		length, err = io.Copy(io.Discard, body)
		return nil, length, err
	}
	kept, err = io.ReadAll(body)
	return kept, int64(len(kept)), err
}

// bodyTrouble says what is wrong with a whole body; empty: nothing.
func (e httpExpectation) bodyTrouble(body []byte) string {
	if e.text != "" && !bytes.Contains(body, []byte(e.text)) {
		return fmt.Sprintf("%q is not in the body", healthd.Line(e.text, 100))
	}
	if len(e.json) == 0 {
		return ""
	}
	value, err := decodeJSON(body)
	if err != nil {
		return err.Error()
	}
	for _, rule := range e.json {
		if wrong := rule.judge(value); wrong != "" {
			return wrong
		}
	}
	return ""
}
