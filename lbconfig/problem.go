package lbconfig

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says how bad a problem is. The zero value is Info.
type Severity int8

// The severities, least first.
const (
	Info    Severity = iota // worth knowing
	Warning                 // works, but will hurt
	Error                   // the balancer refuses it
)

var severityNames = [...]string{"info", "warning", "error"}

func (s Severity) String() string { return severityNames[s] }

// MarshalText makes JSON carry the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"` // from 1; 0 where the place is not known
	Col      int      `json:"col,omitempty"`  // from 1; 0 where the place is not known
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"` // "haproxy" or "nginx" where the real program said it, else the rule's id
	Text     string   `json:"text"` // one line
}

// String is the form that editors and CI systems parse: file:line:col: severity rule: text.
func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", p.File, p.Line, max(1, p.Col))
	}
	return fmt.Sprintf("%s: %s %s: %s", where, p.Severity, p.Rule, p.Text)
}

// SortProblems orders by file and place, the order in which a person mends them.
func SortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// Worst is the highest severity among problems; ok is false where there are none.
func Worst(problems []Problem) (worst Severity, ok bool) {
	for _, p := range problems {
		worst = max(worst, p.Severity)
	}
	return worst, len(problems) > 0
}
