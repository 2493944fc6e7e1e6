package haproxy

import (
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Rule is the Rule of problems that the real program told.
const Rule = "haproxy"

// maxMessage bounds the text of one problem, in bytes.
const maxMessage = 1000

// ParseMessages reads what `haproxy -c` of 2.2 to 3.2 prints: `[ALERT] 325/214101 (123) : parsing [/path:12] : text`,
// `[ALERT]    (123) : config : parsing [/path:12]: text`, and from 3.2 on without "config :". Lines behind a message belong to
// it: a `   | …` continuation is kept, the excerpt with its caret and the list of all keywords are not.
func ParseMessages(output string) []lbconfig.Problem {
	var out []lbconfig.Problem
	var keep, drop bool // whether lines behind the last message belong to its text, or are an excerpt of the file
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		severity, text, ok := message(line)
		switch {
		case ok && summary(text):
			keep = false
		case ok && len(out) == maxProblems:
			return out
		case ok:
			out = append(out, problem(severity, text))
			drop = strings.HasSuffix(text, ":")
			keep = true
		case strings.HasSuffix(line, "=> exit(2)."):
			out = append(out, lbconfig.Problem{Severity: lbconfig.Error, Rule: Rule, Text: "no error, but no listener either: it will not start"})
			keep = false
		case line == "Warnings were found." || line == "Configuration file is valid":
			keep = false
		case keep && !drop && strings.Trim(line, " .") != "":
			more := oneLine(strings.TrimPrefix(strings.TrimLeft(line, " "), "| "))
			if p := &out[len(out)-1]; len(p.Text)+len(more) < maxMessage {
				p.Text += " " + more
			}
		}
	}
	return out
}

var levels = map[string]lbconfig.Severity{"ALERT": lbconfig.Error, "EMERG": lbconfig.Error, "WARNING": lbconfig.Warning, "NOTICE": lbconfig.Info}

// message splits "[LEVEL] [date] (pid) : text".
func message(line string) (severity lbconfig.Severity, text string, ok bool) {
	level, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
	severity, known := levels[level]
	if !ok || !known || line[0] != '[' {
		return 0, "", false
	}
	_, rest, ok = strings.Cut(rest, "(")
	if !ok {
		return 0, "", false
	}
	pid, text, ok := strings.Cut(rest, ") : ")
	if _, err := strconv.ParseUint(pid, 10, 32); err != nil || !ok {
		return 0, "", false
	}
	return severity, strings.TrimPrefix(text, "config : "), true
}

// summary reports whether a message says nothing about the configuration.
func summary(text string) bool {
	return strings.HasPrefix(text, "haproxy version is ") || strings.HasPrefix(text, "path to executable is ") ||
		strings.HasPrefix(text, "Error(s) found in configuration file") || strings.HasPrefix(text, "Fatal errors found in configuration")
}

func problem(severity lbconfig.Severity, text string) lbconfig.Problem {
	p := lbconfig.Problem{Severity: severity, Rule: Rule}
	if rest, ok := strings.CutPrefix(text, "parsing "); ok {
		text = rest
	} else if rest, ok := strings.CutPrefix(text, "Parsing "); ok {
		text = rest
	}
	if file, line, rest, ok := bracketed(text); ok {
		p.File, p.Line, text = file, line, rest
	}
	p.Col = position(text)
	text = strings.TrimSuffix(oneLine(text), " Registered keywords :")
	p.Text = strings.TrimRight(text, ":. ")
	if len(p.Text) > maxMessage {
		p.Text = strings.ToValidUTF8(p.Text[:maxMessage], "")
	}
	return p
}

// bracketed splits "[FILE:LINE] : text".
func bracketed(text string) (file string, line int, rest string, ok bool) {
	if !strings.HasPrefix(text, "[") {
		return "", 0, "", false
	}
	for i := 1; ; {
		end := strings.IndexByte(text[i:], ']')
		if end < 0 {
			return "", 0, "", false
		}
		end += i
		if colon := strings.LastIndexByte(text[:end], ':'); colon > 0 {
			if n, err := strconv.ParseUint(text[colon+1:end], 10, 31); err == nil && n > 0 {
				return text[1:colon], int(n), strings.TrimLeft(text[end+1:], " :"), true
			}
		}
		i = end + 1 // a file may have a bracket in its name
	}
}

// position reads "… at position N…", which counts bytes of the line from 1; 0 where there is none.
func position(text string) int {
	_, rest, ok := strings.Cut(text, " at position ")
	if !ok {
		return 0
	}
	n, exact := leadingNumber(rest)
	if n == 0 && exact {
		return 0
	}
	return n
}
