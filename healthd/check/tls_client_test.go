package check

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// secureApp answers every connection by TLS and says hello after the handshake.
func secureApp(t *testing.T, config *tls.Config) string {
	t.Helper()
	return greeter(t, func(c net.Conn) {
		secure := tls.Server(c, config)
		if _, err := io.WriteString(secure, "hello\n"); err == nil {
			_, _ = io.Copy(io.Discard, secure)
		}
	})
}

// greeter hands every connection on a port of its own to talk, and closes it after.
func greeter(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err == nil {
				talk(c)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// tlsOf makes the client as a kind with only tlsOptions would.
func tlsOf(o options) (*tlsClient, error) {
	k := Kind{Options: tlsOptions, New: func(Settings) (Probe, error) { return nil, nil }}
	s := Settings{kind: &k, values: map[string][]string{}}
	for _, option := range tlsOptions {
		s.values[option.Key] = option.Default
		if given, ok := o[option.Key]; ok {
			s.values[option.Key] = given
		}
	}
	return tlsConfig(s)
}

// hello makes a handshake and reads the first byte, as a check would.
func hello(t *testing.T, c *tlsClient, address string) healthd.Outcome {
	t.Helper()
	start := time.Now()
	conn, err := dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	secure, err := c.handshake(t.Context(), conn, "127.0.0.1")
	if err == nil {
		_, err = secure.Read(make([]byte, 1))
	}
	if err != nil {
		return failed(t.Context(), start, "no answer", err)
	}
	return passed(start, "ok")
}

func TestCertificatesAreJudgedPlainly(t *testing.T) {
	good, other := newAuthority(t, "Good CA"), newAuthority(t, "Other CA")
	ca, dir := good.file(), t.TempDir()
	cert, key := files(t, dir, good.leaf(nil))
	strangerCert, strangerKey := files(t, t.TempDir(), other.leaf(nil))
	clients := x509.NewCertPool()
	clients.AddCert(good.cert)
	mutual := tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	old := mutual.Clone()
	old.MaxVersion = tls.VersionTLS12
	for name, c := range map[string]struct {
		leaf   tls.Certificate
		server *tls.Config
		o      options
		detail string // of a wrong answer; empty: it passes
	}{
		"right":         {good.leaf(nil), nil, options{"ca": {ca}}, ""},
		"right by name": {good.leaf(nil), nil, options{"ca": {ca}, "tls_name": {"app.test"}}, ""},
		"of 1970":       {good.leaf(expired), nil, options{"ca": {ca}}, "the certificate of app.test expired on 1970-01-02 00:00 UTC"},
		"of tomorrow": {good.leaf(func(c *x509.Certificate) {
			c.NotBefore = time.Date(2999, 1, 2, 3, 4, 0, 0, time.UTC)
			c.NotAfter = c.NotBefore.AddDate(1, 0, 0)
		}), nil, options{"ca": {ca}}, "the certificate of app.test is not valid before 2999-01-02 03:04 UTC"},
		"of others":                 {good.leaf(foreign), nil, options{"ca": {ca}}, "the certificate is for a.test, b.test, c.test and 2 more, not for 127.0.0.1"},
		"wrong name asked":          {good.leaf(nil), nil, options{"ca": {ca}, "tls_name": {"shop.test"}}, "the certificate is for app.test, 127.0.0.1, not for shop.test"},
		"unknown authority":         {other.leaf(nil), nil, options{"ca": {ca}}, `the certificate of app.test is signed by "Other CA", an unknown authority; name it with ca`},
		"host's authorities":        {good.leaf(nil), nil, nil, `the certificate of app.test is signed by "Good CA", an unknown authority; name it with ca`},
		"self-signed":               {authority{t: t}.leaf(nil), nil, options{"ca": {ca}}, "the certificate of app.test is self-signed; name it with ca to trust it"},
		"anything goes":             {other.leaf(expired), nil, options{"skip_verify": {"true"}}, ""},
		"client certificate":        {good.leaf(nil), &mutual, options{"ca": {ca}, "cert": {cert}, "key": {key}}, ""},
		"none given, tls 1.3":       {good.leaf(nil), &mutual, options{"ca": {ca}}, "the server wants a client certificate; name one with cert and key"},
		"none given, tls 1.2":       {good.leaf(nil), old, options{"ca": {ca}}, "the server refused the handshake: no common cipher, or it wants a client certificate"},
		"client of another":         {good.leaf(nil), &mutual, options{"ca": {ca}, "cert": {strangerCert}, "key": {strangerKey}}, "the server wants a client certificate; name one with cert and key"},
		"client of another pressed": {good.leaf(nil), &tls.Config{ClientAuth: tls.RequireAnyClientCert, VerifyPeerCertificate: refuseAll}, options{"ca": {ca}, "cert": {strangerCert}, "key": {strangerKey}}, "the server refused the client certificate"},
		"old server":                {good.leaf(nil), &tls.Config{MaxVersion: tls.VersionTLS12}, options{"ca": {ca}, "tls_min": {"1.3"}}, "the server speaks no version of tls from tls_min up"},
	} {
		t.Run(name, func(t *testing.T) {
			server := c.server.Clone()
			if server == nil {
				server = &tls.Config{}
			}
			server.Certificates = []tls.Certificate{c.leaf}
			client, err := tlsOf(c.o)
			if err != nil {
				t.Fatal(err)
			}
			want := healthd.OK
			if c.detail != "" {
				want = healthd.WrongAnswer
			}
			if o := hello(t, client, secureApp(t, server)); o.Class != want || c.detail != "" && o.Detail != c.detail {
				t.Errorf("got %s: %q, want %q", o.Class, o.Detail, c.detail)
			}
		})
	}
}

// With TLS 1.3 a server refuses a client certificate after the handshake, which is heard by who asks nothing more too.
func TestARefusedClientCertificateIsHeard(t *testing.T) {
	good, other := newAuthority(t, "Good CA"), newAuthority(t, "Other CA")
	ca := good.file()
	cert, key := files(t, t.TempDir(), good.leaf(nil))
	strangerCert, strangerKey := files(t, t.TempDir(), other.leaf(nil))
	clients := x509.NewCertPool()
	clients.AddCert(good.cert)
	server := greeter(t, func(c net.Conn) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{good.leaf(nil)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
		if secure.Handshake() == nil {
			_, _ = io.Copy(io.Discard, secure)
		}
	})
	for name, c := range map[string]struct {
		o      options
		class  healthd.Class
		detail map[string]string
	}{
		"none":       {options{"ca": {ca}}, healthd.WrongAnswer, map[string]string{"tcp": "the server wants a client certificate", "tls": "the server wants a client certificate"}},
		"a stranger": {options{"ca": {ca}, "cert": {strangerCert}, "key": {strangerKey}}, healthd.WrongAnswer, map[string]string{"tcp": "the server ", "tls": "the server "}},
		"its own":    {options{"ca": {ca}, "cert": {cert}, "key": {key}}, healthd.OK, map[string]string{"tcp": "connected", "tls": "the certificate of app.test ends in 30 days"}},
	} {
		for kind, want := range c.detail {
			o := probe(t, kind, server, c.o, 5*time.Second)
			if o.Class != c.class || !strings.Contains(o.Detail, want) || o.Took > 2*time.Second {
				t.Errorf("%s, %s: %s: %q after %s", kind, name, o.Class, o.Detail, o.Took)
			}
		}
	}
}

func refuseAll([][]byte, [][]*x509.Certificate) error { return errors.New("no") }

func TestWhatIsNoTLSIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 400 Bad Request\r\n\r\n": "the server speaks plain http, not tls",
		"SSH-2.0-OpenSSH_9.2p1\r\n":        "the server speaks ssh, not tls",
		"220 mail ESMTP\r\n":               "the server speaks plain smtp or ftp, not tls",
		"\x00\x01\x02\x03\x04\x05":         `the server does not speak tls: its answer begins with "\x00\x01\x02\x03\x04"`,
	} {
		address := greeter(t, func(c net.Conn) {
			if _, err := io.WriteString(c, text); err == nil {
				_, _ = io.Copy(io.Discard, c)
			}
		})
		client, err := tlsOf(nil)
		if err != nil {
			t.Fatal(err)
		}
		if o := hello(t, client, address); o.Class != healthd.WrongAnswer || o.Detail != want {
			t.Errorf("%q: %s: %q", text, o.Class, o.Detail)
		}
	}
}

// Between two probes the files are replaced one after the other: the pair that fitted stays in use until the new one does.
func TestCertificateFilesAreReadAgain(t *testing.T) {
	first, second := newAuthority(t, "First CA"), newAuthority(t, "Second CA")
	dir := t.TempDir()
	one, two := first.leaf(nil), first.leaf(nil)
	cert, key := files(t, dir, one)
	ca := first.file()
	client, err := tlsOf(options{"ca": {ca}, "cert": {cert}, "key": {key}})
	if err != nil {
		t.Fatal(err)
	}
	sent := func() string {
		t.Helper()
		return string(client.config("app.test").Certificates[0].Certificate[0])
	}
	if sent() != string(one.Certificate[0]) {
		t.Fatal("the certificate named is not sent")
	}
	writePEM(t, cert, "CERTIFICATE", two.Certificate[0])
	if sent() != string(one.Certificate[0]) || client.trouble == nil || !strings.Contains(client.trouble.Error(), cert) {
		t.Errorf("half a pair is in use, or nothing is said of it: %v", client.trouble)
	}
	files(t, dir, two)
	if sent() != string(two.Certificate[0]) || client.trouble != nil {
		t.Errorf("the new pair is not in use: %v", client.trouble)
	}
	if err := os.Remove(ca); err != nil {
		t.Fatal(err)
	}
	address := secureApp(t, &tls.Config{Certificates: []tls.Certificate{first.leaf(expired)}})
	if o := hello(t, client, address); !strings.Contains(o.Detail, "expired on 1970-01-02 00:00 UTC; the file read before is in use, for ca: open ") {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
	writePEM(t, ca, "CERTIFICATE", second.cert.Raw)
	address = secureApp(t, &tls.Config{Certificates: []tls.Certificate{one}})
	if o := hello(t, client, address); !strings.Contains(o.Detail, "signed by \"First CA\", an unknown authority") {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
}

// A file system that hangs, as a pipe without a writer does, delays a handshake by a moment, and what was read before stays in use.
func TestCertificateFilesThatHangAreNotWaitedFor(t *testing.T) {
	a := newAuthority(t, "CA")
	ca := a.file()
	client, err := tlsOf(options{"ca": {ca}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(ca), syscall.Mkfifo(ca, 0o600)); err != nil {
		t.Fatal(err)
	}
	address := secureApp(t, &tls.Config{Certificates: []tls.Certificate{a.leaf(nil)}})
	for range 2 {
		if o := hello(t, client, address); o.Class != healthd.OK || client.hangs == nil {
			t.Errorf("got %s: %q, %v", o.Class, o.Detail, client.hangs)
		}
	}
	// The reading that was left behind ends.
	f, err := os.OpenFile(ca, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	writePEM(t, ca, "CERTIFICATE", a.cert.Raw)
	if o := hello(t, client, address); o.Class != healthd.OK || client.hangs != nil || client.trouble != nil {
		t.Errorf("got %s: %q, %v, %v", o.Class, o.Detail, client.hangs, client.trouble)
	}
}

func TestTLSKeysAreValidated(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, "CA")
	cert, _ := files(t, dir, a.leaf(nil))
	_, key := files(t, t.TempDir(), a.leaf(nil))
	for name, c := range map[string]struct {
		o    options
		want string
	}{
		"certificate without key": {options{"cert": {cert}}, "key: is missing"},
		"key without certificate": {options{"key": {key}}, "cert: is missing"},
		"no pair":                 {options{"cert": {cert}, "key": {key}}, "private key does not match"},
		"missing file":            {options{"ca": {dir + "/none.pem"}}, "ca: open " + dir + "/none.pem: no such file"},
		"no certificate in it":    {options{"ca": {key}}, "holds no certificate in PEM"},
		"contradiction":           {options{"ca": {cert}, "skip_verify": {"true"}}, "remove one of them"},
	} {
		_, err := tlsOf(c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
