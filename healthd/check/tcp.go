package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// tcpKind connects to host:port, says something and listens where it is told to, and closes with a reset.
var tcpKind = Kind{
	Doc:         "a port accepts a connection, and answers what is expected where anything is",
	Target:      Option{Doc: "host:port to connect to", Type: HostPort},
	Measurement: "connectTime",
	Example:     `{tcp: 127.0.0.1:6379, send: 'PING\r\n', expect: +PONG}`,
	Options: append([]Option{
		{Key: "send", Doc: `text that is sent first; \r \n \t \\ and \xNN stand for what they do in C`, Type: Text, Secret: true},
		{Key: "expect", Doc: `text that must come within the first 4096 bytes; without send it is expected as a greeting; escapes as in send`, Type: Text},
		{Key: "match", Doc: "regular expression (RE2) that the first 4096 bytes must match, instead of a text", Type: Text},
		tlsOption,
	}, tlsOptions...),
	New: func(s Settings) (Probe, error) {
		p, err := newTCP(s)
		if err != nil {
			return nil, err
		}
		return p.probe, nil
	},
}

// tcpProbe is one tcp check.
type tcpProbe struct {
	address string
	send    string
	wanted  tcpWanted
	secure  *tlsClient // nil: plain
}

func newTCP(s Settings) (*tcpProbe, error) {
	p := &tcpProbe{address: s.Target()}
	var errs [4]error
	errs[0] = validateAddress(s.Target())
	if p.send, errs[1] = unescape(s.Text("send")); errs[1] != nil {
		errs[1] = KeyError{"send", errs[1]}
	}
	p.wanted, errs[2] = newWanted(s)
	p.secure, errs[3] = optionalTLS(s)
	return p, errors.Join(errs[:]...)
}

func (p *tcpProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	detail, err := p.ask(ctx)
	if err != nil {
		return failed(ctx, start, "", err)
	}
	return passed(start, detail)
}

func (p *tcpProbe) ask(ctx context.Context) (detail string, err error) {
	raw, err := dial(ctx, p.address)
	if err != nil {
		return "", err
	}
	defer func() { _ = raw.Close() }() // the connection stood, which is all that was asked of it
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var conn net.Conn = raw
	if p.secure != nil {
		begun := time.Now()
		secure, err := p.secure.handshake(ctx, raw, hostName(p.address))
		if err != nil {
			return "", err
		}
		if p.send == "" && p.wanted.nothing() {
			if err := p.secure.verdict(ctx, secure, time.Since(begun)); err != nil {
				return "", err
			}
		}
		conn = secure
	}
	if p.send != "" {
		if _, err := conn.Write([]byte(p.send)); err != nil {
			return "", err
		}
	}
	return p.wanted.wait(conn)
}

// validateAddress refuses what is no host:port, and addresses that no check may reach.
func validateAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", healthd.Line(address, 80))
	}
	return validateHostPort(host, port)
}

func validateHostPort(host, port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", healthd.Line(port, 20))
	}
	if host == "" {
		return fmt.Errorf("the host is missing; name one, such as 127.0.0.1:%s", port)
	}
	if addr, err := netip.ParseAddr(host); err == nil && Forbidden(addr) {
		return forbiddenError{addr}
	}
	return nil
}
