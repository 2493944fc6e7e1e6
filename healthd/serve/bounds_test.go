package serve

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// crowd is an instance of many services with long names and long complaints, half of them shared.
func crowd(services, checks int) *healthd.Snapshot {
	s := &healthd.Snapshot{Instance: "0badcafe", Generation: 3, At: time.Unix(1e9, 0)}
	for i := range services {
		svc := healthd.Service{Name: fmt.Sprintf("service-%04d-%s", i, strings.Repeat("n", 50)), Status: healthd.Fail, Weight: 50,
			Admin: healthd.Admin{State: healthd.Drain, Reason: strings.Repeat("<because>&\"", 500)}}
		for k := range checks {
			svc.Checks = append(svc.Checks, healthd.Check{Name: fmt.Sprintf("check-%04d-%s", k, strings.Repeat("m", 50)), Measurement: "responseTime", Shared: k%2 == 0,
				Latency: healthd.Latency{N: 1, P50: 1, P95: 2, P99: 3},
				Verdict: healthd.Verdict{Status: healthd.Fail, Last: healthd.NewOutcome(time.Unix(1e9, 0), 1, healthd.WrongAnswer, strings.Repeat("<&>", 100))}})
		}
		s.Services = append(s.Services, svc)
	}
	return s
}

// Consul cuts an answer at 4 KB: what is beyond is lost, and JSON that is cut is none.
func TestBriefAndStrangersBodiesHaveABound(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 1000}, {300, 3}, {1000, 0}} {
		s := crowd(size[0], size[1])
		h := NewHTTP(HTTPSettings{Source: frozen{s}, Tokens: []string{token}})
		for shape, ask := range requests {
			for _, path := range []string{ask.whole, strings.Replace(ask.service, "web", s.Services[0].Name, 1)} {
				for inside, path := range map[bool]string{true: with(path, "brief"), false: path} {
					w := tell(t, h, path, ask.accept, inside)
					if w.Body.Len() > MaxBrief || w.Body.Len() < len("fail\n") {
						t.Errorf("%s of %d services with %d checks, inside %v: %d bytes", shape, size[0], size[1], inside, w.Body.Len())
					}
					if w.Code != 503 {
						t.Errorf("%s: %d %s", path, w.Code, w.Body)
					}
				}
			}
		}
	}
}

// JSON has no word for what is no number: one such value must not cost the whole body.
func TestWhatIsNoNumberIsLeftOut(t *testing.T) {
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		s := crowd(1, 1)
		s.Services[0].Checks[0].Verdict.Last = s.Services[0].Checks[0].Verdict.Last.Measured(value, "percent")
		h := NewHTTP(HTTPSettings{Source: frozen{s}, Tokens: []string{token}})
		for shape, ask := range requests {
			if w := tell(t, h, ask.whole, ask.accept, true); !strings.Contains(w.Body.String(), "check-0000") {
				t.Errorf("%s of %v: %s", shape, value, w.Body)
			}
		}
	}
}

// discard is a response that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// A body is made when the state changes, never for a request.
func TestNoRequestMakesABody(t *testing.T) {
	h := NewHTTP(HTTPSettings{Source: frozen{states(t)["suspect"]}, Tokens: []string{token}})
	for _, accept := range []string{"", "text/plain", "application/json", "application/vnd.spring-boot.actuator.v3+json, application/json;q=0.5"} {
		for _, path := range []string{"/health", "/health/web", "/health/by-port/8080", "/health/ready", "/actuator/health", "/livez", "/-/ready", "/health/live", "/readyz"} {
			for _, inside := range []bool{true, false} {
				r := httptest.NewRequest("GET", path, nil)
				if accept != "" {
					r.Header.Set("Accept", accept)
				}
				if inside {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				w := discard{http.Header{}}
				h.ServeHTTP(w, r)
				if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 0 {
					t.Errorf("%s with Accept %q, inside %v: %.0f allocations", path, accept, inside, n)
				}
			}
		}
	}
}

// What was asked for before a change is printed with it.
func TestAChangePrintsWhatIsAskedFor(t *testing.T) {
	b := board(t)
	h := NewHTTP(HTTPSettings{Source: b, Tokens: []string{token}})
	tell(t, h, "/health/web", "text/plain", true)
	report(b, "web/app", healthd.OK, 1)
	p := h.books.latest().services["web"]
	if p.sheets[plainShape][insider].Load() == nil || p.sheets[healthShape][insider].Load() != nil {
		t.Error("the next book has not what was asked for, or more")
	}
}

// With many services, a change of one costs what that one costs.
func TestAServiceThatDidNotChangeIsNotPrintedAgain(t *testing.T) {
	b := board(t)
	h := NewHTTP(HTTPSettings{Source: b, Tokens: []string{token}})
	printed := func(service string) *sheet {
		tell(t, h, "/health/"+service, "", true)
		return h.books.latest().services[service].sheets[healthShape][insider].Load()
	}
	for name, c := range map[string]struct {
		do         func()
		web, other bool // printed again
	}{
		"an outcome":           {func() { report(b, "web/app", healthd.OK, 1) }, true, false},
		"another service":      {func() { report(b, "api/app", healthd.OK, 1) }, false, true},
		"an order":             {func() { order(t, b, "web", healthd.Drain, "because") }, true, false},
		"an order of the rest": {func() { order(t, b, "api", healthd.Drain, "because") }, false, true},
	} {
		web, other := printed("web"), printed("api")
		c.do()
		if again := printed("web") != web; again != c.web {
			t.Errorf("%s: web is printed again: %v", name, again)
		}
		if again := printed("api") != other; again != c.other {
			t.Errorf("%s: api is printed again: %v", name, again)
		}
	}
}

// What changes no generation is printed anew all the same.
func TestDetailsArePrintedAgain(t *testing.T) {
	s := states(t)["pass"]
	before := bind(s, nil)
	old := before.services["web"].sheet(plainShape, insider)
	verdict := s.Services[0].Checks[0].Verdict
	verdict.Last = healthd.NewOutcome(s.At, 77*time.Millisecond, healthd.OK, "")
	next := s.Update([]healthd.Change{{Service: "web", Check: "app", Verdict: verdict}}, s.At.Add(time.Second))
	after := bind(next, before)
	if next.Generation != s.Generation {
		t.Fatal("the generation changed")
	}
	if now := after.services["web"].sheet(plainShape, insider); now == old || !strings.Contains(string(now.text), "77 ms") {
		t.Errorf("printed is %s", now.text)
	}
}

// While one caller renders what differs in details only, the others are given what is ready.
func TestNobodyWaitsForDetails(t *testing.T) {
	first := &healthd.Snapshot{Instance: "a", Generation: 1}
	source := &turning{frozen{first}}
	rendering, finish := make(chan bool), make(chan bool)
	p := press[uint64]{source: source, render: func(s *healthd.Snapshot) *uint64 {
		if s != first {
			rendering <- true
			<-finish
		}
		return &s.Generation
	}}
	ready := p.latest()
	source.frozen = frozen{&healthd.Snapshot{Instance: "a", Generation: 1}}
	done := make(chan *uint64)
	go func() { done <- p.latest() }()
	<-rendering
	if got := p.latest(); got != ready {
		t.Error("a caller has something else than what was ready")
	}
	finish <- true
	if got := <-done; got == ready {
		t.Error("the caller that rendered has what was ready before")
	}
}

type turning struct{ frozen }
