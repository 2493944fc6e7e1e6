package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

// remoteStage is a stage that serves over TCP too.
type remoteStage struct {
	*stage
	ca      *authority
	address string
}

// overTCP opens a port beside the stage's socket: the names may do what their roles say.
func overTCP(t *testing.T, s *stage, allow map[string]Role) *remoteStage {
	t.Helper()
	r := &remoteStage{stage: s, ca: newAuthority(t, "ca")}
	cert, key := r.ca.issue("server", "controller.example", nil)
	s.server.Remote = &Remote{Listen: "127.0.0.1:0", Cert: cert, Key: key, ClientCA: r.ca.file, Allow: allow}
	if err := s.server.Remote.open(t.Context(), s.server.log()); err != nil {
		t.Fatal(err)
	}
	r.address = s.server.Remote.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.server.serve(ctx, s.server.Remote.listener, s.server.admitted(s.server.handler())); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); serving.Wait() })
	return r
}

// as makes a client with a certificate of an authority.
func (r *remoteStage) as(ca *authority, name string, change func(*x509.Certificate)) *http.Client {
	r.t.Helper()
	cert, key := ca.issue("client", name, change)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		r.t.Fatal(err)
	}
	// It is shown whatever authorities the server asks for.
	return r.with(&tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }})
}

func (r *remoteStage) with(c *tls.Config) *http.Client {
	text, err := os.ReadFile(r.ca.file)
	if err != nil {
		r.t.Fatal(err)
	}
	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AppendCertsFromPEM(text)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
}

// send makes one request and gives its status, or 0 where there is no answer.
func (r *remoteStage) send(c *http.Client, method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "https://"+r.address+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

func TestOverTCPOnlyWhoHasAKnownNameIsHeard(t *testing.T) {
	r := overTCP(t, newStage(t), map[string]Role{"sidecar.example": Operate, "spiffe://example/sidecar": Operate})
	other := newAuthority(t, "other")
	for name, c := range map[string]struct {
		client *http.Client
		status int // 0: no answer
		words  string
	}{
		"a known name":             {r.as(r.ca, "sidecar.example", nil), 200, ""},
		"a known name in capitals": {r.as(r.ca, "SIDECAR.Example", nil), 200, ""},
		"a known URI":              {r.as(r.ca, "spiffe://example/sidecar", nil), 200, ""},
		"a name not in the list":   {r.as(r.ca, "mallory.example", nil), 403, "mallory.example"},
		"a wildcard":               {r.as(r.ca, "*.example", nil), 403, "not in admin.remote.allow"},
		"a known common name only": {r.as(r.ca, "mallory.example", func(c *x509.Certificate) { c.Subject.CommonName = "sidecar.example" }), 403, "mallory.example"},
		"no certificate":           {r.with(&tls.Config{}), 0, "certificate required"},
		"another authority":        {r.as(other, "sidecar.example", nil), 0, "unknown certificate authority"},
		"expired":                  {r.as(r.ca, "sidecar.example", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), 0, "expired certificate"},
		"not yet valid":            {r.as(r.ca, "sidecar.example", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), 0, "certificate"},
		"for servers only":         {r.as(r.ca, "sidecar.example", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), 0, "bad certificate"},
		"an old TLS":               {r.with(&tls.Config{MaxVersion: tls.VersionTLS12}), 0, "protocol version"},
	} {
		last := r.book.Last()
		status, text := r.send(c.client, "POST", "/v1/freeze", `{}`)
		if status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%s: status %d, want %d and %q: %s", name, status, c.status, c.words, text)
		}
		if wrote := r.book.Last() != last; wrote != (c.status == 200) {
			t.Errorf("%s: written down: %v", name, wrote)
		}
	}
	by := r.book.Ledger().Frozen.By
	if !strings.HasSuffix(by, "(certificate)") {
		t.Errorf("written down as %q", by)
	}
}

func TestPlainTCPIsNotHeard(t *testing.T) {
	r := overTCP(t, newStage(t), map[string]Role{"sidecar.example": Operate})
	for name, text := range map[string]string{"plain HTTP": "POST /v1/freeze HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "noise": "\x16\x03\x01\xff\xff" + strings.Repeat("x", 100)} {
		c, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(c) // a reset is an answer too
		if strings.Contains(string(answer), "200 OK") || r.book.Ledger().Frozen != nil {
			t.Errorf("%s: answered %q", name, answer)
		}
		_ = c.Close()
	}
}

func TestAnEmptyListLetsNobodyIn(t *testing.T) {
	for name, allow := range map[string]map[string]Role{"nil": nil, "empty": {}, "an empty name": {"": Operate}, "nobody": {"sidecar.example": Nobody}} {
		r := overTCP(t, newStage(t), allow)
		if status, text := r.send(r.as(r.ca, "sidecar.example", nil), "GET", "/v1/drained?address=10.0.0.5:80", ""); status != http.StatusForbidden {
			t.Errorf("%s: status %d: %s", name, status, text)
		}
		r.stop()
	}
}

// Every endpoint is asked in every role. A new endpoint without an entry in expectations fails above.
func TestEveryEndpointInEveryRole(t *testing.T) {
	r := overTCP(t, newStage(t), map[string]Role{"ask.example": Ask, "read.example": Read, "operate.example": Operate})
	for _, role := range []Role{Nobody, Ask, Read, Operate} {
		client := r.as(r.ca, role.String()+".example", nil)
		for _, e := range endpoints {
			want := expectations[e.method+" "+e.path]
			last := r.book.Last()
			status, text := r.send(client, e.method, want.path, want.body)
			expected := want.status
			if role < want.role || want.role == Nobody {
				expected = http.StatusForbidden
			}
			if status != expected {
				t.Errorf("%s: %s %s: status %d, want %d: %s", role, e.method, e.path, status, expected, text)
			}
			if expected == http.StatusForbidden && r.book.Last() != last && want.mutates {
				t.Errorf("%s: %s %s was refused and written down", role, e.method, e.path)
			}
		}
	}
}

func TestARenewedCertificateNeedsNoRestart(t *testing.T) {
	r := overTCP(t, newStage(t), map[string]Role{"sidecar.example": Ask})
	first := r.as(r.ca, "sidecar.example", nil)
	const path = "/v1/drained?address=10.0.0.5:80"
	if status, text := r.send(first, "GET", path, ""); status != 200 {
		t.Fatalf("status %d: %s", status, text)
	}
	// A file that is half written, or does not fit its key, changes nothing.
	r.ca.write(r.server.Remote.Cert, []byte("-----BEGIN CERT"))
	if status, text := r.send(first, "GET", path, ""); status != 200 {
		t.Errorf("with a broken file: status %d: %s", status, text)
	}
	old := r.ca
	r.ca = newAuthority(t, "next")
	cert, key := r.ca.issue("server", "controller.example", nil)
	r.server.Remote.certs.cert, r.server.Remote.certs.key, r.server.Remote.certs.ca = cert, key, r.ca.file
	if status, text := r.send(r.as(r.ca, "sidecar.example", nil), "GET", path, ""); status != 200 {
		t.Errorf("of the new authority: status %d: %s", status, text)
	}
	if status, text := r.send(r.as(old, "sidecar.example", nil), "GET", path, ""); status != 0 {
		t.Errorf("of the old authority: status %d: %s", status, text)
	}
}

func TestTheListIsReadByName(t *testing.T) {
	got, err := Allowing([]string{"App1.example", "ops.example=operate", "spiffe://Example/x=read"})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(map[string]Role{"app1.example": Ask, "ops.example": Operate, "spiffe://Example/x": Read}) {
		t.Errorf("%v, %v", got, err)
	}
	for name, lines := range map[string][]string{"an unknown role": {"a=root"}, "no name": {""}, "no name but a role": {"=ask"}, "twice": {"a", "A=read"}, "nobody": {"a=nobody"}} {
		if got, err := Allowing(lines); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What the balancers of this lbmedic know of an address, each row with it.
func TestAControllerSaysWhetherAServerIsDrained(t *testing.T) {
	s := newStage(t)
	edge, inner := s.balancers["edge"], s.balancers["inner"]
	edge.set(func(b *fakeBalancer) { b.rows[0].Address = "10.0.0.5:8080" })
	inner.set(func(b *fakeBalancer) { b.rows[1].Address, b.rows[2].Address = "10.0.0.5:8080", "app.example:9090" })
	s.until("the addresses are known", func() bool {
		st, err := s.client.Status(t.Context())
		return err == nil && st.Balancers[0].Servers[0].Address != "" && st.Balancers[1].Servers[1].Address != ""
	})
	ask := func(address string) (w Witness) {
		t.Helper()
		if err := s.client.call(t.Context(), "GET", "/v1/drained?"+address, nil, &w); err != nil {
			t.Fatal(err)
		}
		return w
	}
	is := func(when, address string, want WitnessState, rows int, words string) {
		t.Helper()
		w := ask(address)
		if w.State != want || len(w.Servers) != rows || !strings.Contains(fmt.Sprint(w), words) {
			t.Errorf("%s: %+v, want %s with %d rows and %q", when, w, want, rows, words)
		}
	}
	out := func(b *fakeBalancer, row int) {
		b.set(func(b *fakeBalancer) { b.rows[row].Admin = remediate.ForcedDrain })
	}
	is("in service", "address=10.0.0.5:8080", WitnessDraining, 2, "edge/web/s0")
	out(edge, 0)
	is("one of two", "address=[::ffff:10.0.0.5]:8080", WitnessDraining, 2, "inner/web/s1")
	out(inner, 1)
	is("both", "address=10.0.0.5:8080", WitnessDrained, 2, "")
	is("under one of its addresses", "address=10.9.9.9:8080&address=10.0.0.5:8080", WitnessDrained, 2, "")
	edge.set(func(b *fakeBalancer) { b.sessions = 1 })
	is("a session is left", "address=10.0.0.5:8080", WitnessDraining, 2, "1 sessions")
	edge.set(func(b *fakeBalancer) { b.sessions = 0 })
	is("nobody has it", "address=10.0.0.6:8080", WitnessAbsent, 0, "")
	is("one that is known by a name", "address=10.0.0.7:9090", WitnessUnknown, 1, "by a name only")
	inner.set(func(b *fakeBalancer) { b.down = errors.New("connection refused") })
	s.until("inner unreadable", func() bool {
		st, err := s.client.Status(t.Context())
		return err == nil && st.Balancers[1].Error != ""
	})
	is("a balancer that cannot be read", "address=10.0.0.6:8080", WitnessUnknown, 0, "inner cannot be read")
	for _, wrong := range []string{"", "address=", "address=web:80", "address=10.0.0.5", "address=10.0.0.5:0", strings.Repeat("address=10.0.0.5:80&", 33)} {
		var p *Problem
		var w Witness
		if err := s.client.call(t.Context(), "GET", "/v1/drained?"+wrong, nil, &w); !errors.As(err, &p) || p.Reason != BadRequest {
			t.Errorf("%q: %v, %v", wrong, w, err)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add("10.0.0.5:8080", "10.0.0.5:8080")
	f.Add("[::ffff:10.0.0.5]:8080", "app:8080")
	f.Add("x", ":")
	f.Fuzz(func(t *testing.T, asked, row string) {
		a, err := netip.ParseAddrPort(asked)
		if err != nil {
			return
		}
		is, maybe := addresses{plainAddress(a)}.has(row)
		if is && maybe {
			t.Error("both")
		}
		if r, err := netip.ParseAddrPort(row); err == nil && (maybe || is != (plainAddress(r) == plainAddress(a))) {
			t.Errorf("%s at %s: %v, %v", asked, row, is, maybe)
		}
	})
}
