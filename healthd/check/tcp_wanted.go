package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

const (
	maxTCPAnswer = 4 << 10 // what is read of an answer
	maxPattern   = 512     // of a regular expression, in bytes
)

// tcpWanted is what a server must say: a text, or what a pattern matches, or nothing at all.
type tcpWanted struct {
	text    []byte
	pattern *regexp.Regexp
}

func newWanted(s Settings) (w tcpWanted, err error) {
	text, err := unescape(s.Text("expect"))
	if err != nil {
		return w, KeyError{"expect", err}
	}
	w.text = []byte(text)
	pattern := s.Text("match")
	switch {
	case pattern == "":
		return w, nil
	case text != "":
		return w, KeyError{"match", errors.New("and expect are two ways to say the same; keep one")}
	case len(pattern) > maxPattern:
		return w, KeyError{"match", fmt.Errorf("is %d bytes long, more than %d", len(pattern), maxPattern)}
	}
	if w.pattern, err = compilePattern(pattern); err != nil {
		return w, KeyError{"match", err}
	}
	return w, nil
}

func (w tcpWanted) nothing() bool { return len(w.text) == 0 && w.pattern == nil }

// wait reads until what is wanted has come.
func (w tcpWanted) wait(r io.Reader) (detail string, err error) {
	if w.nothing() {
		return "connected", nil
	}
	heard := make([]byte, 0, 512)
	for {
		if len(heard) == maxTCPAnswer {
			return "", wrongAnswer(fmt.Sprintf("the first %d bytes have no %s; they begin with %q", maxTCPAnswer, w, healthd.Line(string(heard), 60)))
		}
		if len(heard) == cap(heard) {
			heard = append(make([]byte, 0, min(2*cap(heard), maxTCPAnswer)), heard...)
		}
		n, err := r.Read(heard[len(heard):cap(heard)])
		heard = heard[:len(heard)+n]
		switch {
		case w.found(heard):
			return "answered as expected", nil
		case err == nil:
		case len(heard) > 0 && (isTimeout(err) || errors.Is(err, io.EOF)):
			return "", wrongAnswer(fmt.Sprintf("the answer is %q, expected %s", healthd.Line(string(heard), 60), w))
		case errors.Is(err, io.EOF):
			return "", wrongAnswer("the connection was closed without a word")
		default:
			return "", err
		}
	}
}

func (w tcpWanted) found(heard []byte) bool {
	if w.pattern != nil {
		return w.pattern.Match(heard)
	}
	return bytes.Contains(heard, w.text)
}

// String is what is wanted, for people.
func (w tcpWanted) String() string {
	if w.pattern != nil {
		return "what matches " + healthd.Line(w.pattern.String(), 60)
	}
	return fmt.Sprintf("%q", healthd.Line(string(w.text), 60))
}

// unescape reads \r \n \t \\ and \xNN; any other backslash is a mistake.
func unescape(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch next := text[min(i, len(text)-1)]; {
		case i == len(text):
			return "", errors.New(`ends in a single backslash; write \\ for one`)
		case next == 'r':
			b.WriteByte('\r')
		case next == 'n':
			b.WriteByte('\n')
		case next == 't':
			b.WriteByte('\t')
		case next == '\\':
			b.WriteByte('\\')
		case next == 'x' && i+2 < len(text):
			n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf(`has \x without two hexadecimal digits after it: \%s`, healthd.Line(text[i:i+3], 20))
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", fmt.Errorf(`has a backslash before %q; \r \n \t \\ and \xNN are known`, next)
		}
	}
	return b.String(), nil
}
