package runtime

import (
	"strconv"
	"strings"
)

// Word is the first word of a row's status.
type Word uint8

// The words. Open to Waiting are a frontend's or listener's.
const (
	StatusOther Word = iota // a word this program does not know: see Status.Raw
	StatusUp
	StatusDown
	StatusNoLB // passes its checks but takes no new sessions (`disable-on-404`)
	StatusDrain
	StatusMaint
	StatusNoCheck // no health check is configured
	StatusOpen
	StatusFull
	StatusStopped
	StatusPaused
	StatusWaiting
)

var statusWords = map[string]Word{
	"UP": StatusUp, "DOWN": StatusDown, "NOLB": StatusNoLB, "DRAIN": StatusDrain, "MAINT": StatusMaint, "no check": StatusNoCheck,
	"OPEN": StatusOpen, "FULL": StatusFull, "STOP": StatusStopped, "PAUSED": StatusPaused, "WAITING": StatusWaiting,
}

// Status is the status column of `show stat`, taken apart.
type Status struct {
	Word       Word
	Step, Of   int    // "UP 1/3": checks passed or failed towards the other state; 0/0 where there is none
	Agent      bool   // "(agent)": an agent check says so; an operator's drain reads so too where one is configured
	Via        string // "(via web/app1)": in maintenance because that server is
	Resolution bool   // "(resolution)": in maintenance because its name does not resolve
	Raw        string // as HAProxy wrote it
}

// ParseStatus takes a status apart. What it does not understand leaves the word StatusOther and the raw text.
func ParseStatus(raw string) Status {
	s := Status{Raw: raw}
	text := raw
	if word, ok := statusWords[text]; ok {
		s.Word = word
		return s
	}
	word, rest, _ := strings.Cut(text, " ")
	for rest != "" {
		var part string
		if strings.HasPrefix(rest, "(") {
			end := strings.IndexByte(rest, ')')
			if end < 0 {
				return Status{Raw: raw}
			}
			part, rest = rest[:end+1], strings.TrimPrefix(rest[end+1:], " ")
		} else {
			part, rest, _ = strings.Cut(rest, " ")
		}
		if !s.add(part) {
			return Status{Raw: raw}
		}
	}
	s.Word = statusWords[word]
	return s
}

func (s *Status) add(part string) bool {
	switch {
	case part == "(agent)":
		s.Agent = true
	case part == "(resolution)":
		s.Resolution = true
	case strings.HasPrefix(part, "(via ") && strings.HasSuffix(part, ")"):
		s.Via = part[len("(via ") : len(part)-1]
	default:
		step, of, ok := strings.Cut(part, "/")
		a, err1 := strconv.Atoi(step)
		b, err2 := strconv.Atoi(of)
		if !ok || err1 != nil || err2 != nil || a < 0 || b < 0 {
			return false
		}
		s.Step, s.Of = a, b
	}
	return true
}
