package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// memcachedKind asks for the version, after the text protocol's way of logging in where a password is given
// (memcached -Y: https://github.com/memcached/memcached/blob/master/doc/protocol.txt, "Authentication").
var memcachedKind = Kind{
	Doc:         "memcached says its version, after logging in where a username is given",
	Target:      Option{Doc: "host:port, or the absolute path of a unix socket", Type: Text},
	Measurement: "responseTime",
	Example:     "{memcached: 127.0.0.1:11211}",
	Options: []Option{
		{Key: "username", Doc: "user to log in as (memcached -Y)", Type: Text},
		{Key: "password", Doc: "password of that user", Type: Text, Secret: true},
	},
	New: func(s Settings) (Probe, error) {
		var errs []error
		if err := validateServer(s.Target()); err != nil {
			errs = append(errs, KeyError{"", err})
		}
		for _, key := range []string{"username", "password"} {
			if text := s.Text(key); strings.ContainsAny(text, "\r\n \x00") || len(text) > 250 {
				errs = append(errs, KeyError{key, errors.New("a space, a line end or more than 250 bytes cannot be sent to memcached")})
			}
		}
		if s.Has("username") != s.Has("password") {
			errs = append(errs, KeyError{"username", errors.New("username and password go together; give both or none")})
		}
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		m := memcached{s.Target(), s.Text("username"), s.Text("password")}
		return m.probe, nil
	},
}

type memcached struct{ address, username, password string }

func (m memcached) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	version, err := m.version(ctx)
	if err != nil {
		return failed(ctx, start, "no memcached answer", err)
	}
	return passed(start, "version "+version)
}

func (m memcached) version(ctx context.Context) (string, error) {
	c, err := openLine(ctx, m.address, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }() // a reset is wanted; an error of it says nothing of the answer
	if m.username != "" {
		token := m.username + " " + m.password
		if err := c.say(fmt.Sprintf("set auth 0 0 %d\r\n%s\r\n", len(token), token)); err != nil {
			return "", err
		}
		switch said, err := c.line(); {
		case err != nil:
			return "", err
		case said != "STORED":
			return "", wrongAnswer("log in as " + m.username + ": " + said)
		}
	}
	if err := c.say("version\r\n"); err != nil {
		return "", err
	}
	return memcachedVersion(c.r)
}

// memcachedVersion reads "VERSION 1.6.18".
func memcachedVersion(r *bufio.Reader) (string, error) {
	line, err := readLine(r)
	if err != nil {
		return "", err
	}
	version, ok := strings.CutPrefix(line, "VERSION ")
	switch {
	case strings.HasPrefix(line, "CLIENT_ERROR unauthenticated"):
		return "", wrongAnswer("it asks for a username and a password, which this check does not have")
	case !ok || version == "":
		return "", fmt.Errorf("it said %q", healthd.Line(line, 80))
	}
	return version, nil
}
