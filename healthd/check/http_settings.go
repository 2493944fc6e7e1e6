package check

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// HTTP are the settings of an http check. The zero value is fit to use.
type HTTP struct {
	Method     string // GET (default) or HEAD
	Host       string // the Host header and TLS server name; the target's own by default
	MinStatus  int    // lowest status that passes; 200
	MaxStatus  int    // highest status that passes; 399, as in HAProxy's httpchk
	Match      string // text that the body must contain, within its first MaxBody bytes; empty asks for none
	SkipVerify bool   // takes any certificate of an https target
}

func (s HTTP) passing() (least, most int) {
	least, most = s.MinStatus, s.MaxStatus
	if least == 0 {
		least = 200
	}
	if most == 0 {
		most = max(399, least)
	}
	return least, most
}

func validateHTTP(target string, s Settings) error {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" {
		return fmt.Errorf("http target %q is not a url like http://127.0.0.1:8080/healthz", healthd.Line(target, 80))
	}
	if u.User != nil {
		return fmt.Errorf("http target %q: a user in the url is never sent; remove it", healthd.Line(u.Redacted(), 80))
	}
	_, port, err := net.SplitHostPort(hostPort(u))
	if err != nil {
		return fmt.Errorf("http target %q: %w", healthd.Line(target, 80), err)
	}
	if err := validateHostPort(u.Hostname(), port); err != nil {
		return fmt.Errorf("http target %q: %w", healthd.Line(target, 80), err)
	}
	return s.HTTP.validate()
}

func (s HTTP) validate() error {
	least, most := s.passing()
	switch {
	case s.Method != "" && s.Method != http.MethodGet && s.Method != http.MethodHead:
		return fmt.Errorf("method %q is neither GET nor HEAD", healthd.Line(s.Method, 20))
	case s.Method == http.MethodHead && s.Match != "":
		return errors.New("a HEAD answer has no body to match; use GET")
	case least < 100 || most > 599 || least > most:
		return fmt.Errorf("expected status %d to %d is no range within 100 to 599", least, most)
	case len(s.Match) > 4096:
		return fmt.Errorf("text to match is %d bytes long, more than 4096", len(s.Match))
	case len(s.Host) > 255 || strings.ContainsFunc(s.Host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\@?#"<>`, r) }):
		return fmt.Errorf("host header %q is no host name", healthd.Line(s.Host, 80))
	}
	return nil
}
