package nginx

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// RuleNginx marks what the real program said.
const RuleNginx = "nginx"

// nginx 1.18 writes "nginx: [emerg] …" to stderr. Builds whose error log is stderr (Debian from 1.22 on) write the form of
// the log instead: "2026/11/22 22:06:26 [emerg] 31974#31974: …". Some write both.
var (
	messageHead = regexp.MustCompile(`^(?:nginx: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )\[([a-z]+)\] (?:(\d+)#\d+: )?(?:\*\d+ )?`)
	messageTail = regexp.MustCompile(`^(?s)(.*) in (\S.*):(\d{1,9})$`)
	quotedWord  = regexp.MustCompile(`"([^"]+)"`)
)

// message is one line of nginx's log, with the lines that a word with a line end in it broke off.
type message struct {
	level string
	pid   int // 0 where it is not told
	text  string
}

// maxMessages bounds the messages read of one output.
const maxMessages = 1000

func parseMessages(output string) []message {
	var out []message
	for line := range strings.SplitSeq(strings.TrimRight(output, "\n"), "\n") {
		if m := messageHead.FindStringSubmatch(line); m != nil {
			if len(out) == maxMessages {
				break
			}
			pid, _ := strconv.Atoi(m[2]) // empty or too long: not told
			out = append(out, message{m[1], pid, line[len(m[0]):]})
		} else if len(out) > 0 && !strings.HasPrefix(line, "nginx: ") && len(out[len(out)-1].text) < maxWord {
			out[len(out)-1].text += "\n" + line
		}
	}
	return out
}

// ParseMessages reads what `nginx -t` printed into problems of rule "nginx". source gives a file that is at hand, or
// nil; with it the column of the word that nginx quotes is found, where the line has that word once.
func ParseMessages(output string, source func(path string) *lbconfig.Source) []lbconfig.Problem {
	var problems []lbconfig.Problem
	seen := map[lbconfig.Problem]bool{}
	for _, m := range parseMessages(output) {
		p := lbconfig.Problem{Severity: severityOf(m.level), Rule: RuleNginx, Text: m.text}
		if at := messageTail.FindStringSubmatch(m.text); at != nil {
			p.Text, p.File = at[1], at[2]
			p.Line, _ = strconv.Atoi(at[3]) // nine digits at most
			if src := source(p.File); src != nil {
				p.Col = column(src.Line(p.Line), p.Text)
			}
		}
		p.Text = oneLine(p.Text)
		if !seen[p] {
			seen[p] = true
			problems = append(problems, p)
		}
	}
	return problems
}

func severityOf(level string) lbconfig.Severity {
	switch level {
	case "emerg", "alert", "crit", "error":
		return lbconfig.Error
	case "warn":
		return lbconfig.Warning
	}
	return lbconfig.Info
}

// column finds the quoted word of a message in the line it speaks of, and is 0 where that is not certain.
func column(line, text string) int {
	m := quotedWord.FindStringSubmatch(text)
	if m == nil || strings.Count(line, m[1]) != 1 {
		return 0
	}
	return strings.Index(line, m[1]) + 1
}
