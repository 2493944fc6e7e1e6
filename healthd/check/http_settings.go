package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

var httpMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost}

// ownHeaders are those that are about the connection or the message, and so the probe's own.
var ownHeaders = []string{
	"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

func newHTTP(s Settings) (Probe, error) {
	u, err := parseTarget(s.Target())
	if err != nil {
		return nil, KeyError{Err: err}
	}
	p := &httpProbe{socket: s.Text("socket"), address: hostPort(u), server: u.Hostname(), reuse: s.Bool("reuse")}
	if host := s.Text("host"); host != "" {
		p.server = hostName(host)
	}
	var errs []error
	if p.socket == "" {
		errs = append(errs, targetAllowed(s.Target(), u))
	}
	if p.expects, err = newExpectation(s); err != nil {
		errs = append(errs, err)
	}
	if p.asked, err = newRequest(s, u); err != nil {
		errs = append(errs, err)
	}
	switch {
	case u.Scheme == "https":
		p.secure, err = tlsConfig(s)
		errs = append(errs, err)
	case tlsKeys(s):
		errs = append(errs, errors.New("ca, cert, key, tls_name, tls_min and skip_verify are for an https target, and this one is plain http"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	if err := p.asked.Write(&raw); err != nil {
		return nil, fmt.Errorf("%s: %w", shownTarget(s.Target()), err)
	}
	p.raw, p.asked = bytes.Clone(raw.Bytes()), &http.Request{Method: p.asked.Method} // one of 10,000 is 900 bytes
	return p.probe, nil
}

// shownTarget names the target without what may be secret in it.
func shownTarget(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "http target"
	}
	return fmt.Sprintf("http target %q", healthd.Line(u.Redacted(), 80))
}

func parseTarget(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" {
		return nil, fmt.Errorf("%s is not a url like http://127.0.0.1:8080/healthz", shownTarget(target))
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%s: the host is missing", shownTarget(target))
	}
	return u, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// hostName is a host without its port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// targetAllowed refuses what no probe could reach, or may.
func targetAllowed(target string, u *url.URL) error {
	if err := validateAddress(hostPort(u)); err != nil {
		return KeyError{Err: fmt.Errorf("%s: %w", shownTarget(target), err)}
	}
	return nil
}

func newRequest(s Settings, u *url.URL) (*http.Request, error) {
	r := &http.Request{Method: s.Text("method"), URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Close: !s.Bool("reuse"),
		Header: http.Header{"User-Agent": {"lbmedic"}, "Accept": {"*/*"}}}
	var errs []error
	if host := s.Text("host"); host != "" {
		r.Host = host
		if len(host) > 255 || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\@?#"<>`, r) }) {
			errs = append(errs, KeyError{"host", fmt.Errorf("%q is no host name", healthd.Line(host, 80))})
		}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		r.SetBasicAuth(u.User.Username(), password)
	}
	given := http.Header{}
	for _, line := range s.Texts("headers") {
		name, value, err := parseHeader(line)
		if err != nil {
			errs = append(errs, KeyError{"headers", err})
			continue
		}
		given[name] = append(given[name], value)
	}
	for name, values := range given { // what is given stands instead of what we would say, twice where it is given twice
		r.Header[name] = values
	}
	if body := s.Text("body"); body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body)) // read once, when the request is written down
		if r.Method != http.MethodPost {
			errs = append(errs, KeyError{"body", fmt.Errorf("is sent only by method POST, not by %s", r.Method)})
		}
	}
	return r, errors.Join(errs...)
}

// parseHeader reads "Name: value" (RFC 9110, section 5). It never shows the value, which may be a secret.
func parseHeader(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	isName := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	value = strings.Trim(value, " \t")
	switch {
	case !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isName(r) }):
		return "", "", errors.New("one header has no name of letters, digits and dashes before its colon; write it like X-Probe: lbmedic")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "", "", fmt.Errorf("the value of %s holds a control character", name)
	}
	name = http.CanonicalHeaderKey(name)
	if slices.Contains(ownHeaders, name) {
		return "", "", fmt.Errorf("%s belongs to the connection and cannot be set%s", name, map[bool]string{true: "; use the key host"}[name == "Host"])
	}
	return name, value, nil
}
