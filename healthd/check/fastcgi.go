package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// fastcgiKind asks a FastCGI server, such as php-fpm, for its ping page.
var fastcgiKind = Kind{
	Doc:         "a FastCGI server such as php-fpm answers its ping page",
	Target:      Option{Doc: "host:port, or the path of a unix socket", Type: Text},
	Measurement: "responseTime",
	Example:     "{fastcgi: /run/php/php8.2-fpm.sock, script: /ping, expect: pong}",
	Options: []Option{
		{Key: "script", Doc: "path that is asked for: ping.path of the pool of php-fpm, or a script of the application", Type: Text, Default: []string{"/ping"}},
		{Key: "file", Doc: "file of the script on the server's disk (SCRIPT_FILENAME); the path of script unless set", Type: Path},
		{Key: "expect", Doc: "text that the body must contain; ping.response of the pool", Type: Text, Default: []string{"pong"}},
	},
	New: func(s Settings) (Probe, error) {
		p := &fastcgiProbe{address: s.Target(), expect: s.Text("expect")}
		script, file := s.Text("script"), s.Text("file")
		if file == "" {
			file = script
		}
		path, query, _ := strings.Cut(script, "?")
		p.request = fastcgiRequest([][2]string{
			{"GATEWAY_INTERFACE", "CGI/1.1"}, {"SERVER_SOFTWARE", "lbmedic"}, {"SERVER_PROTOCOL", "HTTP/1.1"}, {"SERVER_NAME", "localhost"}, {"REMOTE_ADDR", "127.0.0.1"},
			{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", script}, {"SCRIPT_NAME", path}, {"QUERY_STRING", query}, {"SCRIPT_FILENAME", strings.TrimSuffix(file, "?"+query)},
		})
		errs := []error{validateServer(s.Target())}
		if !strings.HasPrefix(script, "/") || strings.ContainsFunc(script, func(r rune) bool { return r <= ' ' || r > '~' }) {
			errs = append(errs, KeyError{"script", fmt.Errorf("%q is no path such as /ping", healthd.Line(script, 40))})
		}
		return p.probe, errors.Join(errs...)
	},
}

// fastcgiProbe is one fastcgi check.
type fastcgiProbe struct {
	address string
	request []byte
	expect  string
}

func (p *fastcgiProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	detail, err := p.ask(ctx)
	if err != nil {
		return failed(ctx, start, "no fastcgi answer", err)
	}
	return passed(start, detail)
}

func (p *fastcgiProbe) ask(ctx context.Context) (string, error) {
	conn, err := dialAny(ctx, p.address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // the server has said its last word
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(p.request); err != nil {
		return "", err
	}
	answer, err := readFastCGI(conn)
	if err != nil {
		return "", err
	}
	status, body, err := cgiAnswer(answer.out)
	switch {
	case err != nil:
		return "", err
	case status != 200:
		return "", wrongAnswer(fmt.Sprintf("status %d, expected 200: %q", status, healthd.Line(strings.TrimSpace(firstOf(body, answer.err)), 80)))
	case !strings.Contains(body, p.expect):
		return "", wrongAnswer(fmt.Sprintf("status 200, but %q is not in the body", healthd.Line(p.expect, 100)))
	}
	return "answered as expected", nil
}

// firstOf is the first that says anything.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}
