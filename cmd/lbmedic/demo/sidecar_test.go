package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// spoken is a sidecar that says what it is told to.
type spoken struct {
	mu     sync.Mutex
	n      int
	status string
	state  string
	begun  time.Time
	news   chan struct{}
}

func (s *spoken) say(status, state string, begun time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.status, s.state, s.begun = status, state, begun
	close(s.news)
	s.news = make(chan struct{})
}

func (s *spoken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	news, known := s.news, r.URL.Query().Get("after") == fmt.Sprintf("a-%d", s.n)
	s.mu.Unlock()
	if known {
		select {
		case <-news:
		case <-r.Context().Done():
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Lbmedic-Generation", fmt.Sprintf("a-%d", s.n))
	if s.state != "" {
		w.Header().Set("Lbmedic-State", s.state)
	}
	if s.status == "fail" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintf(w, `{"status":%q,"output":"because","checks":{"deep:responseTime":[{"time":%q,"observedValue":2.5,"observedUnit":"ms"}]}}`,
		s.status, s.begun.Format(time.RFC3339Nano))
}

func TestAWordHasTheTimeAtWhichItsCheckEnded(t *testing.T) {
	s := &spoken{news: make(chan struct{})}
	first := time.Date(2030, 1, 2, 3, 4, 5, 600700800, time.UTC)
	s.say("fail", "starting", first)
	server := httptest.NewServer(s)
	defer server.Close()
	words := make(chan Word, 10)
	ear := newListener("app1", server.URL+"/health/by-port/8080", func(w Word, output string) {
		if output != "because" {
			t.Errorf("output %q", output)
		}
		words <- w
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ear.Run(ctx) }()
	next := func(want Word) {
		t.Helper()
		select {
		case got := <-words:
			if got.Server != want.Server || got.Status != want.Status || !got.At.Equal(want.At) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("it never heard %+v", want)
		}
	}
	took := 2500 * time.Microsecond
	s.say("pass", "", first.Add(time.Second)) // what was said while starting is no word
	next(Word{"app1", "pass", first.Add(time.Second + took)})
	s.say("pass", "", first.Add(2*time.Second)) // nothing new
	s.say("fail", "", first.Add(3*time.Second))
	next(Word{"app1", "fail", first.Add(3*time.Second + took)})
	if err := ear.await(ctx, "fail"); err != nil {
		t.Error(err)
	}
	if got := ear.heard(); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	late, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := ear.await(late, "pass"); err == nil {
		t.Error("it holds fail, not pass")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestASidecarThatIsNotThereIsAskedAgain(t *testing.T) {
	s := &spoken{news: make(chan struct{})}
	s.say("pass", "", time.Now())
	broken := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken {
			broken = false
			fmt.Fprint(w, "<html>")
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer server.Close()
	ear := newListener("app1", server.URL, func(Word, string) {})
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- ear.Run(ctx) }()
	if err := ear.await(ctx, "pass"); err != nil {
		t.Error(err)
	}
	stop()
	<-done
}

func TestOnlyAFreshPassCounts(t *testing.T) {
	s := &spoken{news: make(chan struct{})}
	restarted := time.Now()
	s.say("pass", "", restarted.Add(-time.Second))
	server := httptest.NewServer(s)
	defer server.Close()
	ear := newListener("app2", server.URL, nil)
	early, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := ear.passedSince(early, restarted); err == nil {
		t.Error("a check of the old release was taken for one of the new")
	}
	s.say("pass", "", restarted)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if err := ear.passedSince(ctx, restarted); err != nil {
		t.Error(err)
	}
}
