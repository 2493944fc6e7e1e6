package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// natsKind speaks the client protocol by itself (https://docs.nats.io/reference/reference-protocols/nats-protocol): it reads INFO,
// answers CONNECT and PING, and waits for PONG, which the server sends only to a client it has let in.
var natsKind = Kind{
	Doc:         "nats lets the client in and answers PING with PONG; it warns while the server says that it is about to stop (lame duck)",
	Target:      Option{Doc: "host:port, or nats:// or tls:// with [user:password@ or token@]host:port", Type: Text, Secret: true},
	Measurement: "responseTime",
	Example:     "{nats: 127.0.0.1:4222, jetstream: true}",
	Options: slices.Concat([]Option{
		{Key: "username", Doc: "user to connect as", Type: Text},
		{Key: "password", Doc: "password of that user", Type: Text, Secret: true},
		{Key: "token", Doc: "token to connect with, instead of a user", Type: Text, Secret: true},
		{Key: "jetstream", Doc: "whether JetStream must be enabled", Type: Bool, Default: []string{"false"}},
		tlsOption,
	}, tlsOptions),
	New: newNATS,
}

type nats struct {
	address   string
	login     natsConnect
	jetstream bool
	secure    *tlsClient
}

// natsInfo is what matters here of the line that a server begins with.
type natsInfo struct {
	Version     string `json:"version"`
	TLSRequired bool   `json:"tls_required"`
	TLSPossible bool   `json:"tls_available"`
	JetStream   bool   `json:"jetstream"`
	LameDuck    bool   `json:"ldm"`
}

// natsConnect is the client's answer to it.
type natsConnect struct {
	Verbose  bool   `json:"verbose"`
	Pedantic bool   `json:"pedantic"`
	TLS      bool   `json:"tls_required"`
	Username string `json:"user,omitempty"`
	Password string `json:"pass,omitempty"`
	Token    string `json:"auth_token,omitempty"`
	Name     string `json:"name"`
	Language string `json:"lang"`
	Version  string `json:"version"`
	Protocol int    `json:"protocol"` // 1: INFO may come again at any time
}

func newNATS(s Settings) (Probe, error) {
	n := nats{address: s.Target(), jetstream: s.Bool("jetstream")}
	n.login = natsConnect{Username: s.Text("username"), Password: s.Text("password"), Token: s.Text("token"), Name: "lbmedic", Language: "go", Version: "1", Protocol: 1}
	secure, errTLS := optionalTLS(s)
	n.secure = secure
	var errs []error
	if strings.Contains(n.address, "://") || strings.Contains(n.address, "@") {
		errs = append(errs, n.readURL(s))
	}
	if errors.Join(errs...) == nil {
		if err := validateAddress(n.address); err != nil {
			errs = append(errs, KeyError{"", err})
		}
	}
	if n.login.Token != "" && n.login.Username != "" {
		errs = append(errs, KeyError{"token", errors.New("takes the place of a user; keep one of them")})
	}
	if n.login.Username != "" && n.login.Password == "" {
		errs = append(errs, KeyError{"password", errors.New("is missing: a username alone does not log in")})
	}
	if err := errors.Join(append(errs, errTLS)...); err != nil {
		return nil, err
	}
	n.login.TLS = n.secure != nil
	return n.probe, nil
}

// readURL takes address, user or token, and TLS from a URL. Its errors show nothing of it: it may hold a password.
func (n *nats) readURL(s Settings) error {
	u, err := url.Parse(n.address)
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return KeyError{"", errors.New("is no url such as nats://user:password@127.0.0.1:4222")}
	}
	n.address = u.Host
	if u.Port() == "" {
		n.address = net.JoinHostPort(u.Hostname(), "4222")
	}
	if u.User != nil {
		if n.login.Username != "" || n.login.Token != "" {
			return KeyError{"", errors.New("names a user, and so do other keys; keep one of them")}
		}
		if password, ok := u.User.Password(); ok {
			n.login.Username, n.login.Password = u.User.Username(), password
		} else {
			n.login.Token = u.User.Username()
		}
	}
	if u.Scheme != "nats" && n.secure == nil {
		n.secure, err = tlsConfig(s)
	}
	return err
}

func (n nats) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	info, err := n.ask(ctx)
	if err != nil {
		return failed(ctx, start, "no nats answer", err)
	}
	detail := "pong, version " + info.Version
	switch {
	case n.jetstream && !info.JetStream:
		return healthd.NewOutcome(start, time.Since(start), healthd.WrongAnswer, "jetstream is not enabled")
	case info.LameDuck:
		return healthd.NewOutcome(start, time.Since(start), healthd.Degraded, "lame duck: the server is about to stop")
	}
	return passed(start, detail)
}

func (n nats) ask(ctx context.Context) (info natsInfo, err error) {
	c, err := openLine(ctx, n.address, nil)
	if err != nil {
		return info, err
	}
	defer func() { _ = c.Close() }() // a reset is wanted; an error of it says nothing of the answer
	line, err := c.line()
	if err != nil {
		return info, err
	}
	if info, err = n.readInfo(line); err != nil {
		return info, err
	}
	switch {
	case n.secure == nil && info.TLSRequired:
		return info, wrongAnswer("the server requires TLS; set tls: true")
	case n.secure != nil && !info.TLSRequired && !info.TLSPossible:
		return info, wrongAnswer("the server speaks no TLS")
	case n.secure != nil: // INFO comes in the clear, the rest does not
		if err := c.startTLS(ctx, n.secure, n.address); err != nil {
			return info, err
		}
	}
	login, err := json.Marshal(n.login)
	if err != nil {
		return info, err
	}
	if err := c.say(fmt.Sprintf("CONNECT %s\r\nPING\r\n", login)); err != nil {
		return info, err
	}
	for range 16 { // INFO and PING may come between
		line, err := c.line()
		switch {
		case err != nil:
			return info, err
		case line == "PONG":
			return info, nil
		case strings.HasPrefix(line, "INFO "):
			if info, err = n.readInfo(line); err != nil {
				return info, err
			}
		case strings.HasPrefix(line, "-ERR"):
			return info, n.refusal(line)
		case line != "PING" && line != "+OK":
			return info, fmt.Errorf("it said %q", healthd.Line(line, 80))
		}
	}
	return info, errors.New("16 lines and no PONG among them")
}

// readInfo reads INFO {…}, or the error that a full server says instead.
func (n nats) readInfo(line string) (info natsInfo, err error) {
	text, ok := strings.CutPrefix(line, "INFO ")
	switch {
	case strings.HasPrefix(line, "-ERR"):
		return info, n.refusal(line)
	case !ok:
		return info, fmt.Errorf("it said %q", healthd.Line(line, 80))
	}
	if json.Unmarshal([]byte(text), &info) != nil || info.Version == "" {
		return info, errors.New("its INFO is not what a nats server says")
	}
	return info, nil
}

// refusal is an error of the server: -ERR 'Authorization Violation'.
func (n nats) refusal(line string) error {
	return wrongAnswer("the server says " + strings.ToLower(strings.Trim(strings.TrimPrefix(line, "-ERR"), " '")))
}
