package check

import (
	"bufio"
	"fmt"
	"strconv"

	"github.com/lbmedic/lbmedic/healthd"
)

// maxReplyLines bounds one reply.
const maxReplyLines = 100

// smtpAnswer is one reply of a mail server (RFC 5321, section 4.2).
type smtpAnswer struct {
	code  int
	lines []string // without the code
}

// String is the code and the first line, for people.
func (a smtpAnswer) String() string {
	first := ""
	if len(a.lines) > 0 {
		first = a.lines[0]
	}
	return fmt.Sprintf("%d %q", a.code, healthd.Line(first, 60))
}

// smtpReply reads one reply, of one line or of several.
func smtpReply(r *bufio.Reader) (smtpAnswer, error) {
	var a smtpAnswer
	for range maxReplyLines {
		line, err := readLine(r)
		if err != nil {
			return a, err
		}
		code, text, last, ok := replyLine(line)
		switch {
		case !ok:
			return a, wrongAnswer(fmt.Sprintf("no smtp answer: %q", healthd.Line(line, 60)))
		case a.code != 0 && a.code != code:
			return a, wrongAnswer(fmt.Sprintf("no smtp answer: code %d within a reply of code %d", code, a.code))
		}
		a.code, a.lines = code, append(a.lines, text)
		if last {
			return a, nil
		}
	}
	return a, wrongAnswer(fmt.Sprintf("no smtp answer: a reply of more than %d lines", maxReplyLines))
}

// replyLine takes "250-text", "250 text" or "250" apart.
func replyLine(line string) (code int, text string, last, ok bool) {
	if len(line) < 3 {
		return 0, "", false, false
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil || code < 200 || code > 599 {
		return 0, "", false, false
	}
	switch {
	case len(line) == 3:
		return code, "", true, true
	case line[3] == ' ' || line[3] == '-':
		return code, line[4:], line[3] == ' ', true
	}
	return 0, "", false, false
}
