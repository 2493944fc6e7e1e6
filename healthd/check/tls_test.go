package check

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// A real nginx that shows one certificate after another.
func TestTLSAsksARealNginx(t *testing.T) {
	good, other := newAuthority(t, "Good CA"), newAuthority(t, "Other CA")
	ca, dir, address := good.file(), peertest.Dir(t), local(t)
	files(t, dir, good.leaf(nil))
	server := peertest.Nginx(t, peertest.One(t, "nginx"), dir, nginxTLS(dir, address, ""), address)
	o := options{"ca": {ca}}
	if got := judged(t, "tls", address, o, healthd.OK, "the certificate of app.test ends in 30 days, on "); got.Value != 30 || got.Unit != "days" {
		t.Errorf("measured %g %s", got.Value, got.Unit)
	}
	judged(t, "tls", address, options{"ca": {ca}, "alpn": {"h2", "http/1.1"}}, healthd.OK, "TLS 1.2, h")
	judged(t, "tls", address, options{"ca": {ca}, "alpn": {"spdy/9"}}, healthd.WrongAnswer, "none of the protocols offered by alpn")
	judged(t, "tls", address, options{"ca": {ca}, "warn": {"31"}}, healthd.Degraded, "ends in 30 days")
	judged(t, "tls", address, options{"ca": {ca}, "warn": {"40"}, "fail": {"30"}}, healthd.WrongAnswer, "ends in 30 days")
	judged(t, "tls", address, options{"ca": {other.file()}}, healthd.WrongAnswer, `signed by "Good CA", an unknown authority`)
	judged(t, "tls", address, options{"ca": {ca}, "tls_name": {"shop.test"}}, healthd.WrongAnswer, "is for app.test, 127.0.0.1, not for shop.test")
	frozen(t, server.Process, func() { judged(t, "tls", address, o, healthd.TimedOut, "no answer in time") })
	server.Stop()
	judged(t, "tls", address, o, healthd.Refused, "connection refused")
}

func TestTLSMeasuresACertificateThatWillNotDo(t *testing.T) {
	a := newAuthority(t, "CA")
	o := options{"ca": {a.file()}}
	address := secureApp(t, &tls.Config{Certificates: []tls.Certificate{a.leaf(expired)}})
	if got := judged(t, "tls", address, o, healthd.WrongAnswer, "expired on 1970-01-02"); got.Value > -20000 || got.Unit != "days" {
		t.Errorf("measured %g %s", got.Value, got.Unit)
	}
	short := newAuthority(t, "Short CA")
	short.cert, short.key = short.sign(&x509.Certificate{SerialNumber: short.cert.SerialNumber, Subject: short.cert.Subject, NotBefore: short.cert.NotBefore,
		NotAfter: time.Now().Add(48*time.Hour + time.Minute), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	address = secureApp(t, &tls.Config{Certificates: []tls.Certificate{short.leaf(nil)}})
	if got := judged(t, "tls", address, options{"ca": {short.file()}}, healthd.Degraded, `the certificate of "Short CA" ends in 2 days`); got.Value != 2 {
		t.Errorf("the authority ends before the certificate, measured %g", got.Value)
	}
	if got := judged(t, "tls", address, options{"skip_verify": {"true"}}, healthd.OK, "the certificate of app.test ends in 30 days"); got.Value != 30 {
		t.Errorf("measured %g", got.Value)
	}
}

func nginxTLS(dir, address, lines string) string {
	return peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + fmt.Sprintf(`    server {
        listen %s ssl http2;
        ssl_certificate %s/cert.pem;
        ssl_certificate_key %s/key.pem;
        location / { return 200 '{"status": "UP", "lag": 3}'; }
        location /gone { return 410; }
        location /name { return 200 "$host $ssl_server_name"; }
        %s
    }
}
`, address, dir, dir, lines)
}

func TestStartTLSIsSpokenFirst(t *testing.T) {
	a := newAuthority(t, "CA")
	config := &tls.Config{Certificates: []tls.Certificate{a.leaf(nil)}}
	upgrade := func(hear, say string) func(net.Conn) {
		return func(c net.Conn) {
			heard := make([]byte, len(hear))
			if _, err := io.ReadFull(c, heard); err != nil || string(heard) != hear {
				return
			}
			if _, err := io.WriteString(c, say); err != nil || say == "N" {
				return
			}
			if s := tls.Server(c, config); s.Handshake() == nil {
				_, _ = io.Copy(io.Discard, s)
			}
		}
	}
	greeting := func(text string, then func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			if _, err := io.WriteString(c, text); err == nil {
				then(c)
			}
		}
	}
	const request = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	for name, c := range map[string]struct {
		protocol string
		server   func(net.Conn)
		class    healthd.Class
		detail   string
	}{
		"postgres":           {"postgres", upgrade(request, "S"), healthd.OK, "ends in 30 days"},
		"postgres without":   {"postgres", upgrade(request, "N"), healthd.WrongAnswer, "the server has tls switched off"},
		"postgres injected":  {"postgres", upgrade(request, "Sxx"), healthd.WrongAnswer, "went on in the clear"},
		"no postgres":        {"postgres", greeting("220 mail\r\n", upgrade(request, "")), healthd.WrongAnswer, `begins with "2", expected S`},
		"imap":               {"imap", greeting("* OK ready\r\n", upgrade("a STARTTLS\r\n", "* 1 EXISTS\r\na OK go\r\n")), healthd.OK, "ends in 30 days"},
		"imap refuses":       {"imap", greeting("* OK ready\r\n", upgrade("a STARTTLS\r\n", "a BAD no\r\n")), healthd.WrongAnswer, `the answer to STARTTLS is "a BAD no"`},
		"imap says goodbye":  {"imap", greeting("* BYE full\r\n", func(net.Conn) {}), healthd.WrongAnswer, `the greeting is "* BYE full", expected * OK`},
		"smtp":               {"smtp", greeting("220 mail\r\n", upgrade("EHLO localhost\r\n", "250 no offers\r\n")), healthd.WrongAnswer, "does not offer STARTTLS"},
		"silent after hello": {"smtp", greeting("220 mail\r\n", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), healthd.TimedOut, "no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			judged(t, "tls", greeter(t, c.server), options{"ca": {a.file()}, "starttls": {c.protocol}}, c.class, c.detail)
		})
	}
}

// A real PostgreSQL with a certificate.
func TestTLSAsksARealPostgres(t *testing.T) {
	a, dir, address := newAuthority(t, "CA"), peertest.Dir(t), local(t)
	data := filepath.Join(dir, "data")
	made := peertest.Start(t, peer.Server{Path: peertest.Tool(t, "initdb"), Args: []string{"-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"},
		Limit: time.Minute, Ready: func() error { _, err := os.Stat(filepath.Join(data, "postgresql.auto.conf")); return err }})
	<-made.Ended()
	cert, key := files(t, dir, a.leaf(nil))
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	peertest.Start(t, peer.Server{Path: peertest.Tool(t, "postgres"), Ready: peer.Accepts(address), Args: []string{"-D", data, "-p", portIn(address), "-k", dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-c", "ssl_cert_file=" + cert, "-c", "ssl_key_file=" + key}})
	judged(t, "tls", address, options{"ca": {a.file()}, "starttls": {"postgres"}}, healthd.OK, "ends in 30 days")
	judged(t, "tls", address, options{"ca": {newAuthority(t, "Other").file()}, "starttls": {"postgres"}}, healthd.WrongAnswer, "an unknown authority")
}
