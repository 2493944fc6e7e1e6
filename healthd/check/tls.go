package check

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// tlsKind makes a handshake and looks at the certificate. It degrades unless told otherwise, for a certificate ends for every instance
// on the same day.
var tlsKind = Kind{
	Doc:         "a TLS handshake succeeds and the certificate chain is good for long enough",
	Target:      Option{Doc: "host:port to connect to", Type: HostPort},
	Measurement: "certificateExpiry",
	Impact:      healthd.Degrade,
	Example:     "{tls: 127.0.0.1:443, tls_name: shop.example, warn: 21, fail: 3, alpn: [h2], interval: 1h}",
	Options: append([]Option{
		{Key: "warn", Doc: "days before the end of the certificate from which on the check warns", Type: Int, Min: 0, Max: 3650, Default: []string{"21"}},
		{Key: "fail", Doc: "days before the end from which on it fails; 0: only a certificate that has expired does", Type: Int, Min: 0, Max: 3650, Default: []string{"0"}},
		{Key: "alpn", Doc: "protocols that are offered, such as h2; the server must choose one of them", Type: Text, List: true},
		{Key: "starttls", Doc: "protocol that is spoken before TLS begins", Type: Word, Words: []string{"smtp", "imap", "postgres"}},
	}, tlsOptions...),
	New: func(s Settings) (Probe, error) {
		p := &tlsProbe{address: s.Target(), warn: s.Int("warn"), fail: s.Int("fail"), protocols: s.Texts("alpn"), before: s.Text("starttls")}
		var errs [3]error
		errs[0] = validateAddress(s.Target())
		p.secure, errs[1] = tlsConfig(s)
		if p.warn < p.fail {
			errs[2] = KeyError{"warn", fmt.Errorf("%d days come after the %d of fail; warn earlier than you fail", p.warn, p.fail)}
		}
		return p.probe, errors.Join(errs[:]...)
	},
}

// tlsProbe is one tls check.
type tlsProbe struct {
	address    string
	warn, fail int // days
	protocols  []string
	before     string
	secure     *tlsClient
}

func (p *tlsProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	state, err := p.handshake(ctx)
	if err != nil {
		o := failed(ctx, start, "no handshake", err)
		if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(bad.UnverifiedCertificates) > 0 {
			o = o.Measured(daysUntil(bad.UnverifiedCertificates[0].NotAfter, start), "days")
		}
		return o
	}
	first := firstToExpire(state)
	days := daysUntil(first.NotAfter, start)
	detail := fmt.Sprintf("the certificate of %s ends in %.0f days, on %s; %s", ownerOf(first), math.Floor(days), first.NotAfter.UTC().Format(time.DateOnly), tls.VersionName(state.Version))
	if state.NegotiatedProtocol != "" {
		detail += ", " + state.NegotiatedProtocol
	}
	class := healthd.OK
	switch {
	case days <= float64(p.fail):
		class = healthd.WrongAnswer
	case days <= float64(p.warn):
		class = healthd.Degraded
	}
	return healthd.NewOutcome(start, time.Since(start), class, detail).Measured(days, "days")
}

func (p *tlsProbe) handshake(ctx context.Context) (tls.ConnectionState, error) {
	conn, err := dial(ctx, p.address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }() // nothing more is asked over it
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := startTLS(conn, p.before); err != nil {
		return tls.ConnectionState{}, err
	}
	begun := time.Now()
	secure, err := p.secure.handshake(ctx, conn, hostName(p.address), p.protocols...)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	if err := p.secure.verdict(ctx, secure, time.Since(begun)); err != nil {
		return tls.ConnectionState{}, err
	}
	state := secure.ConnectionState()
	if len(p.protocols) > 0 && state.NegotiatedProtocol == "" {
		return tls.ConnectionState{}, wrongAnswer("the server chose none of the protocols " + strings.Join(p.protocols, ", "))
	}
	return state, nil
}

// firstToExpire is the certificate that ends the chain: of each chain that holds the first to expire, and of those the last, for one
// good chain is enough. Without verification there is no chain, and it is the server's own.
func firstToExpire(state tls.ConnectionState) *x509.Certificate {
	var best *x509.Certificate
	for _, chain := range state.VerifiedChains {
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if best == nil || first.NotAfter.After(best.NotAfter) {
			best = first
		}
	}
	if best == nil {
		best = state.PeerCertificates[0] // a server always shows one
	}
	return best
}

// daysUntil is in days, to a tenth; below 0 when it is over.
func daysUntil(end, now time.Time) float64 { return math.Round(end.Sub(now).Hours()/24*10) / 10 }

// startTLS says what a protocol needs before TLS begins: RFC 3207 for smtp, RFC 9051 (6.2.1) for imap, SSLRequest for postgres. An answer
// that goes on in the clear is refused, for it would be taken for the server's words under TLS.
func startTLS(conn net.Conn, protocol string) error {
	r := bufio.NewReaderSize(io.LimitReader(conn, 8<<10), 1<<10)
	var err error
	switch protocol {
	case "":
		return nil
	case "smtp":
		err = smtpStartTLS(conn, r)
	case "imap":
		err = imapStartTLS(conn, r)
	case "postgres":
		err = postgresStartTLS(conn, r)
	}
	if err == nil && r.Buffered() > 0 {
		err = wrongAnswer("the server went on in the clear after it agreed to tls")
	}
	return err
}

func imapStartTLS(conn net.Conn, r *bufio.Reader) error {
	greeting, err := readLine(r)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(greeting, "* OK") {
		return wrongAnswer(fmt.Sprintf("the greeting is %q, expected * OK", healthd.Line(greeting, 60)))
	}
	if _, err := io.WriteString(conn, "a STARTTLS\r\n"); err != nil {
		return err
	}
	for range 20 { // lines that begin with * are news of the server's own
		answer, err := readLine(r)
		if err != nil {
			return err
		}
		if strings.HasPrefix(answer, "a OK") {
			return nil
		}
		if !strings.HasPrefix(answer, "*") {
			return wrongAnswer(fmt.Sprintf("the answer to STARTTLS is %q", healthd.Line(answer, 60)))
		}
	}
	return wrongAnswer("no answer to STARTTLS among 20 lines")
}

func postgresStartTLS(conn net.Conn, r *bufio.Reader) error {
	if _, err := conn.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil {
		return err
	}
	answer, err := r.ReadByte()
	switch {
	case err != nil:
		return err
	case answer == 'N':
		return wrongAnswer("the server has tls switched off")
	case answer != 'S':
		return wrongAnswer(fmt.Sprintf("the answer to SSLRequest begins with %q, expected S", string(rune(answer))))
	}
	return nil
}
