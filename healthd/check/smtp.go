package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// smtpKind says EHLO to a mail server, changes to TLS where it is told to, and QUIT. It sends no mail and logs nobody in.
var smtpKind = Kind{
	Doc:         "a mail server greets, answers EHLO, and speaks TLS where it is asked to",
	Target:      Option{Doc: "host:port to connect to", Type: HostPort},
	Measurement: "responseTime",
	Example:     "{smtp: 127.0.0.1:25, starttls: true, tls_name: mail.example}",
	Options: append([]Option{
		{Key: "code", Doc: "reply code that the greeting must have", Type: Int, Min: 200, Max: 599, Default: []string{"220"}},
		{Key: "ehlo", Doc: "name that is said in EHLO", Type: Host, Default: []string{"localhost"}},
		{Key: "starttls", Doc: "the server must offer STARTTLS, and the change to TLS must succeed", Type: Bool},
		{Key: "tls", Doc: "speak TLS from the first byte, as on port 465", Type: Bool},
	}, tlsOptions...),
	New: func(s Settings) (Probe, error) {
		p := &smtpProbe{address: s.Target(), code: s.Int("code"), name: s.Text("ehlo"), later: s.Bool("starttls")}
		var errs [4]error
		errs[0] = validateAddress(s.Target())
		if s.Bool("tls") || p.later {
			p.secure, errs[1] = tlsConfig(s)
		} else if tlsKeys(s) {
			errs[1] = errors.New("ca, cert, key, tls_name, tls_min and skip_verify need starttls or tls")
		}
		if s.Bool("tls") && p.later {
			errs[2] = KeyError{"starttls", errors.New("changes to TLS, and tls begins with it; keep one")}
		}
		if strings.ContainsFunc(p.name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			errs[3] = KeyError{"ehlo", errors.New("is no host name")}
		}
		return p.probe, errors.Join(errs[:]...)
	},
}

// smtpProbe is one smtp check.
type smtpProbe struct {
	address string
	code    int
	name    string
	later   bool       // STARTTLS
	secure  *tlsClient // nil: plain
}

func (p *smtpProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	conn, err := dial(ctx, p.address)
	if err != nil {
		return failed(ctx, start, "", err)
	}
	defer func() { _ = conn.Close() }() // QUIT is said before it
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	session, err := p.talk(ctx, conn)
	if err != nil {
		return failed(ctx, start, "no smtp answer", err)
	}
	o := passed(start, session.detail)
	session.quit()
	return o
}

// smtpSession is a connection on which EHLO was answered.
type smtpSession struct {
	conn   net.Conn
	r      *bufio.Reader
	detail string
}

func (p *smtpProbe) talk(ctx context.Context, raw net.Conn) (*smtpSession, error) {
	s := &smtpSession{conn: raw}
	var err error
	if p.secure != nil && !p.later {
		if s.conn, err = p.secure.handshake(ctx, raw, hostName(p.address)); err != nil {
			return nil, err
		}
	}
	s.r = smtpReader(s.conn)
	greeting, err := smtpReply(s.r)
	if err != nil {
		return nil, err
	}
	if greeting.code != p.code {
		return nil, wrongAnswer(fmt.Sprintf("the greeting is %s, expected %d", greeting, p.code))
	}
	s.detail = "greeted with " + greeting.String()
	if greeting.code >= 400 {
		return s, nil // a refusal that is expected: EHLO would get none but the same
	}
	if err := s.ehlo(p.name, p.later); err != nil || !p.later {
		return s, err
	}
	if s.conn, err = p.secure.handshake(ctx, raw, hostName(p.address)); err != nil {
		return nil, err
	}
	s.r = smtpReader(s.conn)
	s.detail += ", then tls"
	return s, s.ehlo(p.name, false)
}

// ehlo says EHLO, and STARTTLS where that is wanted (RFC 3207).
func (s *smtpSession) ehlo(name string, startTLS bool) error {
	offers, err := smtpSay(s.conn, s.r, "EHLO "+name, 250)
	if err != nil || !startTLS {
		return err
	}
	if !slices.ContainsFunc(offers.lines, func(l string) bool { return strings.EqualFold(l, "STARTTLS") }) {
		return wrongAnswer("the server does not offer STARTTLS")
	}
	if _, err := smtpSay(s.conn, s.r, "STARTTLS", 220); err != nil {
		return err
	}
	if s.r.Buffered() > 0 {
		return wrongAnswer("the server went on in the clear after it agreed to tls")
	}
	return nil
}

// quit says QUIT and waits a moment for the answer, so that the server logs no lost connection. The verdict is made already.
func (s *smtpSession) quit() {
	if s.conn.SetDeadline(time.Now().Add(250*time.Millisecond)) != nil {
		return
	}
	_, _ = smtpSay(s.conn, s.r, "QUIT", 221)
}

// smtpStartTLS brings a fresh connection to where TLS begins.
func smtpStartTLS(conn net.Conn, r *bufio.Reader) error {
	greeting, err := smtpReply(r)
	if err != nil {
		return err
	}
	if greeting.code != 220 {
		return wrongAnswer(fmt.Sprintf("the greeting is %s, expected 220", greeting))
	}
	s := &smtpSession{conn: conn, r: r}
	return s.ehlo("localhost", true)
}

// smtpReader bounds what is read of a server.
func smtpReader(r io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(io.LimitReader(r, 32<<10), 1<<10) // RFC 5321 has lines of at most 512 bytes
}

// smtpSay sends a line and reads the reply, which must have the code.
func smtpSay(w io.Writer, r *bufio.Reader, line string, code int) (smtpAnswer, error) {
	if _, err := io.WriteString(w, line+"\r\n"); err != nil {
		return smtpAnswer{}, err
	}
	got, err := smtpReply(r)
	if err == nil && got.code != code {
		verb, _, _ := strings.Cut(line, " ")
		err = wrongAnswer(fmt.Sprintf("the answer to %s is %s, expected %d", verb, got, code))
	}
	return got, err
}
