package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// The real nginx, over TLS, with one certificate after another.
func TestHTTPAsksARealNginxOverTLS(t *testing.T) {
	good, other := newAuthority(t, "Good CA"), newAuthority(t, "Other CA")
	ca, dir, address := good.file(), peertest.Dir(t), local(t)
	files(t, dir, good.leaf(nil))
	writePEM(t, filepath.Join(dir, "clients.pem"), "CERTIFICATE", good.cert.Raw)
	nginx := peertest.Nginx(t, peertest.One(t, "nginx"), dir, nginxTLS(dir, address, ""), address)
	target := "https://" + address
	trust := func(o options) options {
		o["ca"] = []string{ca}
		return o
	}
	for name, c := range map[string]struct {
		path   string
		o      options
		class  healthd.Class
		detail string
	}{
		"right":          {"/", trust(options{}), healthd.OK, "status 200"},
		"json":           {"/", trust(options{"json": {"status = UP", "lag < 5"}}), healthd.OK, "status 200"},
		"other json":     {"/", trust(options{"json": {"status = UP", "lag < 3"}}), healthd.WrongAnswer, "status 200, but lag is 3, expected < 3"},
		"no json":        {"/name", trust(options{"host": {"app.test"}, "json": {"status = UP"}}), healthd.WrongAnswer, "status 200, but the body is no json"},
		"status":         {"/gone", trust(options{}), healthd.WrongAnswer, "status 410, expected 200 to 399"},
		"name of host":   {"/name", trust(options{"host": {"app.test"}, "expect": {"app.test app.test"}}), healthd.OK, "status 200"},
		"name apart":     {"/name", trust(options{"host": {"shop.test"}, "tls_name": {"app.test"}, "expect": {"shop.test app.test"}}), healthd.OK, "status 200"},
		"wrong name":     {"/", trust(options{"host": {"shop.test"}}), healthd.WrongAnswer, "the certificate is for app.test, 127.0.0.1, not for shop.test"},
		"unknown":        {"/", options{}, healthd.WrongAnswer, `signed by "Good CA", an unknown authority`},
		"whatever comes": {"/", options{"skip_verify": {"true"}}, healthd.OK, "status 200"},
		"plain on tls":   {"PLAIN", options{}, healthd.WrongAnswer, "status 400, expected 200 to 399"},
		"kept":           {"/", trust(options{"reuse": {"true"}}), healthd.OK, "status 200"},
	} {
		t.Run(name, func(t *testing.T) {
			url := target + c.path
			if c.path == "PLAIN" {
				url = "http://" + address
			}
			judged(t, "http", url, c.o, c.class, c.detail)
		})
	}
	for name, change := range map[string]func(*x509.Certificate){"expired on 1970-01-02": expired, "is for a.test, b.test, c.test and 2 more": foreign} {
		files(t, dir, good.leaf(change))
		reloaded(t, nginx, func() bool { return judgedQuietly(t, target, trust(options{}), name) }, name)
	}
	files(t, dir, authority{t: t}.leaf(nil))
	reloaded(t, nginx, func() bool { return judgedQuietly(t, target, trust(options{}), "self-signed") }, "self-signed")

	files(t, dir, good.leaf(nil))
	if err := nginx.WriteConfig(nginxTLS(dir, address, "ssl_client_certificate "+dir+"/clients.pem; ssl_verify_client on;")); err != nil {
		t.Fatal(err)
	}
	reloaded(t, nginx, func() bool { return judgedQuietly(t, target, trust(options{}), "status 400, expected 200 to 399") }, "a client certificate is wanted")
	cert, key := files(t, t.TempDir(), good.leaf(nil))
	judged(t, "http", target, trust(options{"cert": {cert}, "key": {key}}), healthd.OK, "status 200")
	cert, key = files(t, t.TempDir(), other.leaf(nil))
	judged(t, "http", target, trust(options{"cert": {cert}, "key": {key}}), healthd.WrongAnswer, "status 400")
	frozen(t, nginx.Process, func() { judged(t, "http", target, trust(options{}), healthd.TimedOut, "no answer in time") })
	nginx.Stop()
	judged(t, "http", target, trust(options{}), healthd.Refused, "connection refused")
}

// judgedQuietly reports whether the outcome is a wrong answer with that detail.
func judgedQuietly(t *testing.T, target string, o options, detail string) bool {
	t.Helper()
	got := probe(t, "http", target, o, 5*time.Second)
	return got.Class == healthd.WrongAnswer && strings.Contains(got.Detail, detail)
}

// reloaded reloads nginx and waits until its new workers answer.
func reloaded(t *testing.T, nginx interface{ Reload() error }, ready func() bool, what string) {
	t.Helper()
	if err := nginx.Reload(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !ready(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestHTTPAsksThroughASocket(t *testing.T) {
	path := filepath.Join(peertest.Dir(t), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan *http.Request, 10)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r })}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	for _, reuse := range []string{"true", "false"} {
		judged(t, "http", "http://app.test/healthz", options{"socket": {path}, "reuse": {reuse}}, healthd.OK, "status 200")
		if r := <-asked; r.Host != "app.test" || r.URL.Path != "/healthz" {
			t.Errorf("asked %s of %s", r.URL, r.Host)
		}
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if o := judged(t, "http", "http://app.test/", options{"socket": {path}}, healthd.Refused, "no socket at "); !strings.Contains(o.Detail, path) {
		t.Errorf("said %q", o.Detail)
	}
	if _, err := os.Create(path); err != nil {
		t.Fatal(err)
	}
	judged(t, "http", "http://app.test/", options{"socket": {path}}, healthd.Refused, "connection refused")
}

func TestHTTPSendsHeadersAndABody(t *testing.T) {
	asked := make(chan *http.Request, 1)
	url := app(t, func(c net.Conn, r *http.Request) {
		asked <- r
		says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(c, r)
	})
	judged(t, "http", url, options{"method": {"POST"}, "body": {`{"probe": true}`}, "headers": {"x-probe: a", "X-Probe: b", "User-Agent: kubelet", "Content-Type: application/json"}}, healthd.OK, "status 200")
	r := <-asked
	if r.Method != "POST" || r.ContentLength != 15 || fmt.Sprint(r.Header["X-Probe"]) != "[a b]" || fmt.Sprint(r.Header["User-Agent"]) != "[kubelet]" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("asked %s, %d bytes, %v", r.Method, r.ContentLength, r.Header)
	}
	for line, want := range map[string]string{"Host: x": "use the key host", "connection: close": "belongs to the connection", "Transfer-Encoding: chunked": "belongs to the connection", "TE: trailers": "belongs to the connection",
		"no colon": "no name", "a b: c": "no name", ": x": "no name", "X: a\r\nY: b": "control character", "X-Token: " + planted + "\x00": "control character"} {
		_, err := New("http", []string{url}, options{"headers": {line}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), planted) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	for want, o := range map[string]options{"only by method POST": {"body": {"x"}}, "has no body": {"method": {"HEAD"}, "json": {"a = 1"}}, "for an https target": {"skip_verify": {"true"}}} {
		if _, err := New("http", []string{url}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", o, err, want)
		}
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	_, err := New("http", []string{"http://probe:" + planted + "@[::1"}, nil)
	if err == nil || strings.Contains(err.Error(), planted) {
		t.Errorf("%v", err)
	}
	_, err = New("http", []string{"http://probe:" + planted + "@169.254.169.254/"}, nil)
	if err == nil || strings.Contains(err.Error(), planted) {
		t.Errorf("%v", err)
	}
}

// checked makes one check and gives its probe, to be asked again and again.
func checked(t testing.TB, target string, o options) func() healthd.Outcome {
	t.Helper()
	p, err := New("http", []string{target}, o)
	if err != nil {
		t.Fatal(err)
	}
	return func() healthd.Outcome {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return p(ctx)
	}
}
