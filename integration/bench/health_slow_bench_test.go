package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
)

const (
	slowRounds  = 15
	slowRound   = time.Second
	slowRate    = 5000 // requests a second
	slowCallers = 25
	slowClients = 1000 // of each server, that never end their request
	slowDrip    = 500 * time.Millisecond
	slowMost    = 1.3
)

// TestBenchHealthWhileAllHangs holds the 99th percentile of /health against that of a bare net/http handler that writes the same bytes, both
// asked 5,000 times a second, while every dependency hangs and a thousand clients on each drip a request that never ends: the median of
// the ratios of rounds that take turns.
func TestBenchHealthWhileAllHangs(t *testing.T) {
	asked(t)
	ours, bare := serveHanging(t)
	drip(t, ours, bare)
	var a, b, ratios []float64
	for i := range slowRounds {
		var ourTail, bareTail time.Duration
		if i%2 == 0 {
			ourTail, bareTail = tail(t, ours), tail(t, bare)
		} else {
			bareTail, ourTail = tail(t, bare), tail(t, ours)
		}
		a, b = append(a, ourTail.Seconds()*1e3), append(b, bareTail.Seconds()*1e3)
		ratios = append(ratios, ourTail.Seconds()/bareTail.Seconds())
	}
	t.Logf("p99 at %d req/s with %d slow clients and all dependencies hanging: %.2f ms; bare net/http handler: %.2f ms; ratio %.2f (%d rounds)",
		slowRate, slowClients, median(a), median(b), median(ratios), slowRounds)
	if r := median(ratios); r > slowMost {
		t.Errorf("ratio %.2f is above %.2f", r, slowMost)
	}
}

// serveHanging gives the address of a sidecar whose ten dependencies never answer, and of a bare server that writes what it says.
func serveHanging(t *testing.T) (ours, bare string) {
	t.Helper()
	svc := probe.Service{Name: "web"}
	for i := range peerChecks {
		svc.Checks = append(svc.Checks, probe.Check{
			Name: fmt.Sprintf("check-%03d", i), Kind: "http", Measurement: "responseTime", Interval: 250 * time.Millisecond, Timeout: 200 * time.Millisecond,
			Probe: func(ctx context.Context) healthd.Outcome {
				at := time.Now()
				<-ctx.Done()
				return healthd.NewOutcome(at, time.Since(at), healthd.TimedOut, "no answer")
			},
		})
	}
	board, address := runHealth(t, svc)
	for s := board.Latest(); s.Services[0].Status != healthd.Fail; {
		var err error
		if s, err = board.Wait(t.Context(), s.Generation); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.Get("http://" + address + "/health/web")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatal(resp.Status, err)
	}
	url := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"application/health+json"}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(body)
	}))
	bare, _, _ = strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return address, bare
}

// drip keeps slowClients connections to each address that send a header byte by byte, until the test ends. One that is closed comes again.
func drip(t *testing.T, addresses ...string) {
	t.Helper()
	conns := make([]net.Conn, len(addresses)*slowClients)
	var came atomic.Int64
	full := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	var dripping sync.WaitGroup
	dripping.Go(func() {
		tick := time.NewTicker(slowDrip / 50)
		defer tick.Stop()
		for turn := 0; ; turn++ {
			for i := turn % 50; i < len(conns); i += 50 {
				if conns[i] != nil {
					if _, err := conns[i].Write([]byte("x")); err == nil {
						continue
					}
					_ = conns[i].Close()
					conns[i] = nil
				}
				c, err := net.Dial("tcp", addresses[i%len(addresses)])
				if err != nil {
					continue
				}
				if _, err := io.WriteString(c, "GET /health/web HTTP/1.1\r\nHost: x\r\nX-Slow: "); err == nil {
					conns[i] = c
				}
				if came.Add(1) == int64(len(conns)) {
					close(full)
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		dripping.Wait()
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	select {
	case <-full:
	case <-time.After(time.Minute):
		t.Fatal("the slow clients do not get in")
	}
}

// tail is the 99th percentile of one round. A request that waits for the one before it on its connection has begun when it was due.
func tail(t *testing.T, address string) time.Duration {
	t.Helper()
	took := make([][]time.Duration, slowCallers)
	begun := time.Now()
	var callers sync.WaitGroup
	for i := range slowCallers {
		callers.Go(func() {
			every := slowCallers * time.Second / slowRate
			var err error
			if took[i], err = paced(address, begun.Add(time.Duration(i)*every/slowCallers), begun.Add(slowRound), every); err != nil {
				t.Errorf("a caller beside the slow clients: %v", err)
			}
		})
	}
	callers.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) < int(slowRate*slowRound.Seconds()*9/10) {
		t.Fatalf("%d answers in %s", len(all), slowRound)
	}
	return all[len(all)*99/100]
}

func paced(address string, due, end time.Time, every time.Duration) (took []time.Duration, err error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r := bufio.NewReaderSize(c, 16<<10)
	request := []byte("GET /health/web HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	timer := time.NewTimer(0)
	defer timer.Stop()
	for free := due; due.Before(end); due = due.Add(every) {
		start := due
		if free.Before(due) { // the timer's own lateness is not the server's
			timer.Reset(time.Until(due))
			<-timer.C
			start = time.Now()
		}
		if _, err := c.Write(request); err != nil {
			return nil, err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable {
			return nil, fmt.Errorf("status %s", resp.Status)
		}
		free = time.Now()
		took = append(took, free.Sub(start))
	}
	return took, nil
}
