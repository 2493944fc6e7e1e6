package check

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// httpExpectation is what an http check takes for a right answer.
type httpExpectation struct {
	status []StatusRange
	text   string // that the body must contain; empty: none
	json   []jsonRule
}

func newExpectation(s Settings) (e httpExpectation, err error) {
	var errs []error
	for _, text := range s.Texts("status") {
		r, err := ParseStatusRange(text)
		if err != nil {
			errs = append(errs, KeyError{"status", err})
		}
		e.status = append(e.status, r)
	}
	e.text = s.Text("expect")
	for _, text := range s.Texts("json") {
		r, err := parseJSONRule(text)
		if err != nil {
			errs = append(errs, KeyError{"json", err})
		}
		e.json = append(e.json, r)
	}
	if s.Text("method") == http.MethodHead && (e.text != "" || len(e.json) > 0) {
		errs = append(errs, KeyError{"method", errors.New("a HEAD answer has no body to expect anything of; use GET")})
	}
	return e, errors.Join(errs...)
}

// expects reports whether the status passes.
func (e httpExpectation) expects(status int) bool {
	return slices.ContainsFunc(e.status, func(r StatusRange) bool { return r.From <= status && status <= r.To })
}

// codes are the status codes that pass, for people: "200 to 399 or 404".
func (e httpExpectation) codes() string {
	words := make([]string, 0, len(e.status))
	for _, r := range e.status {
		words = append(words, r.String())
	}
	return strings.Join(words, " or ")
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ From, To int }

// ParseStatusRange reads "200" or "200-399".
func ParseStatusRange(text string) (StatusRange, error) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	from, err := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	if err != nil || err2 != nil || from < 100 || to > 599 || from > to {
		return StatusRange{}, fmt.Errorf("%q is no status code or range of them such as 200 or 200-399", healthd.Line(text, 20))
	}
	return StatusRange{from, to}, nil
}

func (r StatusRange) String() string {
	if r.From == r.To {
		return strconv.Itoa(r.From)
	}
	return fmt.Sprintf("%d to %d", r.From, r.To)
}
