package check

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	board "github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// otherLbmedic is a real one, whose one check is what the test tells.
func otherLbmedic(t *testing.T) (tell func(healthd.Class, int), target string, stop func()) {
	t.Helper()
	b, err := board.NewBoard(board.Settings{Services: []board.Service{{Name: "orders", Checks: []board.Check{{Name: "db", Kind: "tcp"}}}}})
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
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return func(class healthd.Class, times int) {
		for range times {
			b.Report("orders", "db", healthd.NewOutcome(time.Now(), 0, class, "seen "+class.String()))
		}
	}, "http://" + l.Addr().String() + "/health/orders", stop
}

func TestLbmedicAsksAnotherOne(t *testing.T) {
	tell, target, stop := otherLbmedic(t)
	judged(t, "lbmedic", target, nil, healthd.OwnFault, "unknown: the lbmedic there has just started")
	tell(healthd.OK, 1)
	if o := judged(t, "lbmedic", target, nil, healthd.OK, "it says pass"); o.Value != 1 || o.Unit != "hops" {
		t.Errorf("measured %g %s", o.Value, o.Unit)
	}
	tell(healthd.Degraded, 3)
	judged(t, "lbmedic", target, nil, healthd.Degraded, "it says warn: db: seen degraded")
	tell(healthd.Refused, 3)
	judged(t, "lbmedic", target, nil, healthd.WrongAnswer, "it says fail: db: seen refused")
	judged(t, "lbmedic", strings.Replace(target, "orders", "gone", 1), nil, healthd.WrongAnswer, "404")
	stop()
	judged(t, "lbmedic", target, nil, healthd.OwnFault, "unknown: the lbmedic there does not answer: connection refused")
}

func TestLbmedicFailsNobodyOverASilentOne(t *testing.T) {
	p, err := New("lbmedic", []string{"http://" + greeter(t, greets("", nil)) + "/health"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if o := p(ctx); o.Class != healthd.OwnFault || o.Detail != "unknown: the lbmedic there does not answer: no answer in time" {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
	nginx := httptest.NewServer(http.NotFoundHandler())
	defer nginx.Close()
	judged(t, "lbmedic", nginx.URL, nil, healthd.WrongAnswer, "what answers there is no lbmedic")
}

// A lbmedic that ends in the midst of an answer, or a proxy before it that misses it, fails nobody.
func TestLbmedicFailsNobodyOverAnAnswerThatIsCut(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nLbmedic-Generation: 1f6a2745-10\r\nContent-Type: application/health+json\r\nContent-Length: 100\r\n"
	for about, answer := range map[string]string{"nothing": "", "half a header": head[:40], "half a body": head + "\r\n{\"status\":"} {
		for _, scheme := range []string{"http", "https"} {
			server := greeter(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1<<10))
				_, _ = c.Write([]byte(answer))
			})
			o := probe(t, "lbmedic", scheme+"://"+server+"/health", nil, 5*time.Second)
			notTLS := scheme == "https" && answer != ""
			if !notTLS && (o.Class != healthd.OwnFault || !strings.Contains(o.Detail, "unknown: the lbmedic there does not answer: ")) {
				t.Errorf("%s over %s: %s: %q", about, scheme, o.Class, o.Detail)
			}
		}
	}
	for code, want := range map[int]healthd.Class{502: healthd.OwnFault, 503: healthd.OwnFault, 504: healthd.OwnFault, 500: healthd.WrongAnswer, 401: healthd.WrongAnswer} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		judged(t, "lbmedic", proxy.URL, nil, want, "what answers there is no lbmedic")
		proxy.Close()
	}
}

// hopping is a lbmedic whose answer has come through so many others.
func hopping(hops func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Lbmedic-Generation", "1f6a2745-10")
		w.Header().Set("Content-Type", "application/health+json")
		w.Header().Set(hopsHeader, hops())
		_, _ = w.Write([]byte(`{"status": "pass", "serviceId": "orders"}`))
	})
}

func TestLbmedicStopsAtADepth(t *testing.T) {
	hops := ""
	server := httptest.NewServer(hopping(func() string { return hops }))
	defer server.Close()
	for text, want := range map[string]struct {
		class  healthd.Class
		value  float64
		detail string
	}{
		"": {healthd.OK, 1, "it says pass"}, "0": {healthd.OK, 1, "it says pass"}, "2": {healthd.OK, 3, "it says pass"},
		"3": {healthd.OwnFault, 3, "lbmedic-loop: the answer comes through 4 lbmedics"}, "65535": {healthd.OwnFault, 3, "lbmedic-loop"},
		"many": {healthd.WrongAnswer, 0, `the header Lbmedic-Hops is "many"`}, "-1": {healthd.WrongAnswer, 0, "no number"},
	} {
		hops = text
		if o := judged(t, "lbmedic", server.URL, nil, want.class, want.detail); o.Value != want.value {
			t.Errorf("%q: measured %g, want %g", text, o.Value, want.value)
		}
	}
}

// Two that ask each other, each saying the hops that it measured: they settle, and neither accuses the other.
func TestTwoThatAskEachOtherStop(t *testing.T) {
	var said [2]int
	var probes [2]Probe
	for i := range 2 {
		server := httptest.NewServer(hopping(func() string { return strconv.Itoa(said[1-i]) }))
		defer server.Close()
		p, err := New("lbmedic", []string{server.URL}, nil)
		if err != nil {
			t.Fatal(err)
		}
		probes[i] = p
	}
	loops := 0
	for range 10 {
		for i := range 2 {
			o := probes[i](t.Context())
			said[i] = int(o.Value)
			if o.Class.Status() == healthd.Fail {
				t.Errorf("%d accuses the other: %q", i, o.Detail)
			}
			if strings.HasPrefix(o.Detail, "lbmedic-loop") {
				loops++
			}
		}
	}
	if loops < 10 || said[0] > maxHops || said[1] > maxHops {
		t.Errorf("%d of 20 probes saw the loop, hops %v", loops, said)
	}
}

func TestLbmedicSpeaksTLS(t *testing.T) {
	a := newAuthority(t, "CA")
	server := httptest.NewUnstartedServer(hopping(func() string { return "0" }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.leaf(nil)}}
	server.StartTLS()
	defer server.Close()
	judged(t, "lbmedic", server.URL, options{"ca": {a.file()}}, healthd.OK, "it says pass")
	judged(t, "lbmedic", server.URL, nil, healthd.WrongAnswer, "an unknown authority")
	if _, err := New("lbmedic", []string{"http://127.0.0.1:1/health"}, options{"ca": {a.file()}}); err == nil {
		t.Error("a plain target takes tls keys")
	}
}
