package check

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// HTTP are the settings of an http check. The zero value is fit to use.
type HTTP struct {
	Method     string        // GET (default), HEAD or OPTIONS
	Host       string        // the Host header and TLS server name; the target's own by default
	Status     []StatusRange // what passes; empty: 200 to 399, as in HAProxy's httpchk
	Match      string        // text that the body must contain, within its first MaxBody bytes; empty asks for none
	SkipVerify bool          // takes any certificate of an https target
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

// passing are the ranges that pass.
func (s HTTP) passing() []StatusRange {
	if len(s.Status) == 0 {
		return []StatusRange{{200, 399}}
	}
	return s.Status
}

// expects reports whether the status passes.
func (s HTTP) expects(status int) bool {
	return slices.ContainsFunc(s.passing(), func(r StatusRange) bool { return r.From <= status && status <= r.To })
}

// expected is what passes, for people: "200 to 399 or 404".
func (s HTTP) expected() string {
	var words []string
	for _, r := range s.passing() {
		words = append(words, r.String())
	}
	return strings.Join(words, " or ")
}

func validateHTTP(target string, s HTTP) error {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" {
		return fmt.Errorf("http target %q is not a url like http://127.0.0.1:8080/healthz", healthd.Line(target, 80))
	}
	_, port, err := net.SplitHostPort(hostPort(u))
	if err != nil {
		return fmt.Errorf("http target %q: %w", healthd.Line(target, 80), err)
	}
	if err := validateHostPort(u.Hostname(), port); err != nil {
		return fmt.Errorf("http target %q: %w", healthd.Line(target, 80), err)
	}
	return s.validate()
}

func (s HTTP) validate() error {
	bad := slices.IndexFunc(s.passing(), func(r StatusRange) bool { return r.From < 100 || r.To > 599 || r.From > r.To })
	switch {
	case s.Method != "" && s.Method != http.MethodGet && s.Method != http.MethodHead && s.Method != http.MethodOptions:
		return fmt.Errorf("method %q is none of GET, HEAD and OPTIONS", healthd.Line(s.Method, 20))
	case s.Method == http.MethodHead && s.Match != "":
		return errors.New("a HEAD answer has no body to match; use GET")
	case bad >= 0:
		return fmt.Errorf("expected status %s is no range within 100 to 599", s.Status[bad])
	case len(s.Match) > 4096:
		return fmt.Errorf("text to match is %d bytes long, more than 4096", len(s.Match))
	case len(s.Host) > 255 || strings.ContainsFunc(s.Host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\@?#"<>`, r) }):
		return fmt.Errorf("host header %q is no host name", healthd.Line(s.Host, 80))
	}
	return nil
}
