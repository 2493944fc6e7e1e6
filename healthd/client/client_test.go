package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sidecar is a real one, whose checks are what the test tells.
func sidecar(t *testing.T) (*probe.Board, string) {
	t.Helper()
	b, err := probe.NewBoard(probe.Settings{Services: []probe.Service{
		{Name: "web", Address: "127.0.0.1:8080", Checks: []probe.Check{{Name: "app", Kind: "http"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve.NewHTTP(serve.HTTPSettings{Source: b}).Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return b, "http://" + l.Addr().String()
}

func tell(b *probe.Board, class healthd.Class, times int) {
	for range times {
		b.Report("web", "app", healthd.NewOutcome(time.Now(), 0, class, "seen "+class.String()))
	}
}

func asker(t *testing.T) *Client {
	c := New(Settings{})
	t.Cleanup(c.Close)
	return c
}

func TestAskUnderstandsWhatASidecarSays(t *testing.T) {
	b, base := sidecar(t)
	c := asker(t)
	for _, step := range []struct {
		name string
		do   func()
		want Answer
	}{
		{"starting", func() {}, Answer{Status: healthd.Unknown, Starting: true, Notes: []string{"starting: the first round of checks is not over"}}},
		{"pass", func() { tell(b, healthd.OK, 1) }, Answer{Status: healthd.Pass}},
		{"warn", func() { tell(b, healthd.Degraded, 3) }, Answer{Status: healthd.Warn, Output: "app: seen degraded"}},
		{"fail", func() { tell(b, healthd.Refused, 3) }, Answer{Status: healthd.Fail, Output: "app: seen refused"}},
		{"fail in maintenance", func() { order(t, b, healthd.Maint, "disk: swap") },
			Answer{Status: healthd.Fail, Output: "app: seen refused", Notes: []string{"maintenance: disk: swap"}, Admin: healthd.Admin{State: healthd.Maint, Reason: "disk: swap"}}},
		{"pass in drain", func() { tell(b, healthd.OK, 2); order(t, b, healthd.Drain, "") },
			Answer{Status: healthd.Pass, Notes: []string{"drain"}, Admin: healthd.Admin{State: healthd.Drain}}},
		{"ready", func() { order(t, b, healthd.Ready, "") }, Answer{Status: healthd.Pass}},
		{"stale", func() {
			b.Replace([]probe.Service{{Name: "web", Address: "127.0.0.1:8080", Checks: []probe.Check{{Name: "app", Kind: "http"}}}})
		}, Answer{Status: healthd.Pass, Stale: true, Notes: []string{"stale: not measured lately"}}},
	} {
		step.do()
		for _, path := range []string{"/health/web", "/health/by-port/8080?drain=404&warn=429"} {
			got, err := c.Ask(t.Context(), base+path, "", 0)
			if err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			want := step.want
			for i, note := range got.Notes { // since when, no test knows
				if strings.HasPrefix(note, "stale: ") {
					got.Notes[i] = "stale: not measured lately"
				}
			}
			want.Service, want.Generation, want.Received = "web", b.Latest().Tag(), got.Received
			if !same(got, want) || time.Since(got.Received) > time.Minute {
				t.Errorf("%s: %s\n got %+v\nwant %+v", step.name, path, got, want)
			}
		}
	}
}

func same(a, b Answer) bool {
	notes := strings.Join(a.Notes, "\n") == strings.Join(b.Notes, "\n")
	return notes && a.Service == b.Service && a.Status == b.Status && a.Generation == b.Generation && a.Stale == b.Stale &&
		a.Starting == b.Starting && a.Admin == b.Admin && a.Output == b.Output
}

func order(t *testing.T, b *probe.Board, state healthd.AdminState, reason string) {
	t.Helper()
	if err := b.Order("web", healthd.Admin{State: state, Reason: reason}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	sidecar := func(code int, state, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Lbmedic-Generation", "abc-1")
			w.Header().Set("Content-Type", "application/health+json")
			w.Header().Set("Lbmedic-State", state)
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	redirected := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected = true }))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"another program": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"fail"}`)) }, ErrNotSidecar.Error()},
		"a redirect":      {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, ErrNotSidecar.Error()},
		"no such service": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Lbmedic-Generation", "abc-1")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(404)
			_, _ = w.Write([]byte("{\"detail\":\"no such\nservice\"}"))
		}, `status 404 with "application/problem+json" instead of application/health+json: {"detail":"no such\nservice"}`},
		"a generation that is none": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Lbmedic-Generation", "yes") }, `generation "yes" is not INSTANCE-NUMBER`},
		"a proxy's 502 over it":     {sidecar(502, "", `{"status":"pass"}`), "contradicts itself"},
		"fail with 200":             {sidecar(200, "", `{"status":"fail"}`), "contradicts itself"},
		"unknown":                   {sidecar(503, "", `{"status":"unknown"}`), "none of pass, warn, fail"},
		"no status":                 {sidecar(200, "", `{}`), "none of pass, warn, fail"},
		"half a body":               {sidecar(200, "", `{"status":"pa`), "no health+json"},
		"too much":                  {sidecar(200, "", `{"status":"pass","output":"`+strings.Repeat("x", MaxBody)+`"}`), "longer than"},
		"too many words":            {sidecar(200, strings.Repeat("stale,", 50), `{"status":"pass"}`), "more than 200 bytes"},
		"a cut connection":          {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(c.serve)
			defer s.Close()
			a, err := asker(t).Ask(t.Context(), s.URL, "", 0)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "ask sidecar "+s.URL) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			if a.Status != healthd.Unknown {
				t.Errorf("an error with status %s", a.Status)
			}
			if errors.Is(err, ErrNotSidecar) != (c.want == ErrNotSidecar.Error()) {
				t.Errorf("ErrNotSidecar: %v", err)
			}
		})
	}
	if redirected {
		t.Error("a redirect was followed")
	}
}

func TestSilenceAndRefusalAreErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	c := New(Settings{Timeout: 50 * time.Millisecond})
	defer c.Close()
	if _, err := c.Ask(t.Context(), "http://"+l.Addr().String(), "", 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silence: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ask(t.Context(), "http://"+l.Addr().String(), "", 0); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("refused: %v", err)
	}
	if _, err := c.Ask(t.Context(), "file:///etc/passwd", "", 0); err == nil || !strings.Contains(err.Error(), "not a url like") {
		t.Errorf("no url: %v", err)
	}
}

func TestFollowHearsAChangeAtOnce(t *testing.T) {
	b, base := sidecar(t)
	tell(b, healthd.OK, 1)
	ctx, cancel := context.WithCancel(t.Context())
	heard, ended := make(chan Answer), make(chan bool)
	go func() {
		defer close(ended)
		asker(t).Follow(ctx, base+"/health/web", func(a Answer, err error) {
			if err != nil {
				t.Errorf("heard %v", err)
			}
			heard <- a
		})
	}()
	if a := <-heard; a.Status != healthd.Pass {
		t.Errorf("first %s", a.Status)
	}
	for _, change := range []struct {
		class healthd.Class
		times int
		want  healthd.Status
	}{{healthd.Refused, 3, healthd.Fail}, {healthd.OK, 2, healthd.Pass}, {healthd.Degraded, 3, healthd.Warn}} {
		start := time.Now()
		tell(b, change.class, change.times)
		if a := <-heard; a.Status != change.want {
			t.Errorf("heard %s, want %s", a.Status, change.want)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s was heard after %s", change.want, took)
		}
	}
	cancel()
	<-ended
}

func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []struct {
		code        int
		state, body string
	}{
		{200, "", `{"status":"pass","serviceId":"web","checks":{"app:responseTime":[{"status":"pass"}]}}`},
		{503, "drain, pass", `{"status":"fail","notes":["drain: x\ny"]}`},
		{503, "starting", `{"status":"fail"}`},
		{429, "stale", `{"status":"warn","output":"\u001b[31m"}`},
		{200, "pass", `{"status":"unknown"}`},
		{404, "maint,,", "null"},
	} {
		f.Add(seed.code, seed.state, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, code int, state string, body []byte) {
		h := http.Header{"Lbmedic-Generation": {"abc-1"}, "Content-Type": {"application/health+json"}, "Lbmedic-State": {state}}
		a, err := parse(code, h, body)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x1b") {
				t.Errorf("error %q", err)
			}
			return
		}
		if a.Status == healthd.Unknown && !a.Starting {
			t.Errorf("unknown from %d %q %q", code, state, body)
		}
		if code == 200 && a.Status == healthd.Fail || code == 503 && a.Admin.State == healthd.Ready && !a.Starting && a.Status != healthd.Fail {
			t.Errorf("%s from code %d, %q", a.Status, code, state)
		}
		for _, text := range append(a.Notes, a.Output, a.Service, a.Admin.Reason) {
			if text != healthd.Line(text, maxOutput) {
				t.Errorf("not fit to print: %q", text)
			}
		}
	})
}

// A sidecar on another host tells why only to who holds its token, and the token is sent to nobody who has not answered as a sidecar does.
func TestATokenIsForSidecarsOnly(t *testing.T) {
	const token = "abcdefghijklmnop"
	var sent []string
	var isSidecar bool
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if held := r.Header.Get("Authorization"); held != "" {
			sent = append(sent, held)
		}
		if isSidecar {
			w.Header().Set("Lbmedic-Generation", "abc-1")
		}
		w.Header().Set("Content-Type", "application/health+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		body := `{"status":"fail"}`
		if r.Header.Get("Authorization") == "Bearer "+token {
			body = `{"status":"fail","output":"app: refused"}`
		}
		_, _ = w.Write([]byte(body)) // a caller that has gone misses nothing
	}))
	defer l.Close()
	c := New(Settings{Token: token})
	defer c.Close()
	if _, err := c.Ask(t.Context(), l.URL, "", 0); !errors.Is(err, ErrNotSidecar) || len(sent) != 0 {
		t.Errorf("%v, and it was sent %q", err, sent)
	}
	isSidecar = true
	for _, after := range []string{"", "abc-0"} {
		if a, err := c.Ask(t.Context(), l.URL, after, 0); err != nil || a.Output != "app: refused" {
			t.Errorf("after %q: %+v, %v", after, a, err)
		}
	}
	if len(sent) != 2 {
		t.Errorf("sent %q", sent)
	}
}
