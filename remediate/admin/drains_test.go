package admin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

var edge0 = remediate.Target{Balancer: "edge", Backend: "web", Server: "s0"}

// wait begins a wait; told hears each line that is no end.
func (s *stage) wait(ctx context.Context, timeout time.Duration) (told chan Drain, ended chan error, last *Drain) {
	told, ended, last = make(chan Drain, 100), make(chan error, 1), new(Drain)
	go func() {
		d, err := s.client.AwaitDrained(ctx, edge0, timeout, func(d Drain) { told <- d })
		*last = d
		ended <- err
	}()
	return told, ended, last
}

func (s *stage) draining(sessions int) {
	s.t.Helper()
	s.balancers["edge"].set(func(b *fakeBalancer) { b.sessions = sessions })
	if _, reason := s.order(Order{Target: "edge/web/s0", Want: remediate.Drain}); reason != "" {
		s.t.Fatal(reason)
	}
}

func TestAWaitEndsWithTheLastSession(t *testing.T) {
	s := newStage(t)
	s.draining(2)
	told, ended, last := s.wait(t.Context(), time.Minute)
	if d := <-told; d.State != remediate.Draining || d.Use.Sessions != 2 || !strings.Contains(d.Detail, "timeout client 5s") {
		t.Errorf("got %+v", d)
	}
	s.balancers["edge"].set(func(b *fakeBalancer) { b.sessions = 1 })
	if d := <-told; d.Use.Sessions != 1 {
		t.Errorf("got %+v", d)
	}
	s.balancers["edge"].set(func(b *fakeBalancer) { b.sessions = 0 })
	if err := <-ended; err != nil || last.End != EndDrained || last.State != remediate.Drained {
		t.Errorf("got %+v, %v", last, err)
	}
}

func TestAWaitWhoseTimeIsOverSaysWhatHoldsIt(t *testing.T) {
	s := newStage(t)
	s.draining(3)
	_, ended, last := s.wait(t.Context(), 300*time.Millisecond)
	if err := <-ended; err != nil || last.End != EndTimeout || last.Use.Sessions != 3 || !strings.Contains(last.Detail, "timeout client 5s") {
		t.Errorf("got %+v, %v", last, err)
	}
	if _, stands := s.book.Ledger().Orders[edge0]; !stands {
		t.Error("the order did not outlast the wait")
	}
}

func TestAWaitEndsWhenTheOrderIsLifted(t *testing.T) {
	s := newStage(t)
	s.draining(1)
	told, ended, last := s.wait(t.Context(), time.Minute)
	<-told
	if _, reason := s.order(Order{Target: "edge/web/s0", Want: remediate.Ready}); reason != "" {
		t.Fatal(reason)
	}
	if err := <-ended; err != nil || last.End != EndLifted {
		t.Errorf("got %+v, %v", last, err)
	}
}

func TestAStopEndsAWaitAndTheOrderStands(t *testing.T) {
	s := newStage(t)
	s.draining(1)
	told, ended, last := s.wait(t.Context(), time.Minute)
	<-told
	s.stop()
	if err := <-ended; err != nil || last.End != EndStopping {
		t.Errorf("got %+v, %v", last, err)
	}
	if _, stands := s.book.Ledger().Orders[edge0]; !stands {
		t.Error("the order is gone")
	}
}

func TestAWaiterThatGoesAwayLeavesNothingBehind(t *testing.T) {
	s := newStage(t)
	s.draining(1)
	ctx, cancel := context.WithCancel(t.Context())
	told, ended, _ := s.wait(ctx, time.Minute)
	<-told
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.until("the stream ended", func() bool { return s.open() == 0 })
}

func TestWaitsAreBounded(t *testing.T) {
	s := newStage(t)
	s.draining(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []chan error
	for range maxStreams {
		told, ended, _ := s.wait(ctx, time.Minute)
		<-told
		all = append(all, ended)
	}
	_, err := s.client.AwaitDrained(t.Context(), edge0, time.Minute, func(Drain) {})
	var p *Problem
	if !errors.As(err, &p) || p.Reason != TooMany {
		t.Errorf("got %v", err)
	}
	cancel()
	for _, ended := range all {
		<-ended
	}
}

func TestAnUnknownServerIsNotWaitedFor(t *testing.T) {
	s := newStage(t)
	_, err := s.client.AwaitDrained(t.Context(), remediate.Target{Balancer: "edge", Backend: "web", Server: "s9"}, time.Minute, func(Drain) {})
	var p *Problem
	if !errors.As(err, &p) || p.Reason != UnknownServer {
		t.Errorf("got %v", err)
	}
}

func (s *stage) open() int {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return s.server.streams
}
