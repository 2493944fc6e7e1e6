package probe

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

const manyChecks = 10_000

// farm is ten services of a thousand checks.
func farm(probe func(context.Context) healthd.Outcome) []Service {
	var all []Service
	for i := range 10 {
		svc := Service{Name: fmt.Sprintf("s%02d", i)}
		for j := range manyChecks / 10 {
			svc.Checks = append(svc.Checks, Check{Name: fmt.Sprintf("c%04d", j), Kind: "http", Target: fmt.Sprintf("http://10.0.%d.%d/healthz", i, j),
				Interval: 5 * time.Second, Probe: probe})
		}
		all = append(all, svc)
	}
	return all
}

// farmBoard holds 10,000 checks that pass, each with a full ring, published.
func farmBoard(b *testing.B) (*Board, []Service) {
	services := farm(passes)
	board, err := NewBoard(Settings{Services: services})
	if err != nil {
		b.Fatal(err)
	}
	board.running = true // a burst is published by Run, as here by hand
	board.flushed = time.Now().Add(time.Hour)
	for range healthd.RingSize {
		round(board, services, manyChecks)
	}
	board.flush(time.Now())
	return board, services
}

// round reports n outcomes that change nothing.
func round(board *Board, services []Service, n int) {
	o := healthd.NewOutcome(time.Now(), time.Millisecond, healthd.OK, "status 200")
	for i := range n {
		svc := &services[i%10]
		board.Report(svc.Name, svc.Checks[i/10%1000].Name, o)
	}
}

// BenchmarkReport is an outcome that changes nothing, as nearly all are.
func BenchmarkReport(b *testing.B) {
	board, services := farmBoard(b)
	o := healthd.NewOutcome(time.Now(), time.Millisecond, healthd.OK, "status 200")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		svc := &services[i%10]
		board.Report(svc.Name, svc.Checks[i/10%1000].Name, o)
	}
}

// BenchmarkPublish is what one second of 10,000 checks at 5 s costs the board: 2,000 outcomes, and one edition with their details.
func BenchmarkPublish(b *testing.B) {
	board, services := farmBoard(b)
	b.ReportAllocs()
	for b.Loop() {
		round(board, services, manyChecks/5)
		board.flush(time.Now())
	}
}

// BenchmarkMemory says what a check costs on the heap, its prober and its published snapshot included.
func BenchmarkMemory(b *testing.B) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		board, services := farmBoard(b)
		probers := NewProbers(services, board)
		b.ReportMetric(float64(heap()-before)/manyChecks, "B/check")
		runtime.KeepAlive(probers)
	}
}

// BenchmarkStartError says how late the probes of 10,000 checks start, at 5 s each, on the beat after their first two.
func BenchmarkStartError(b *testing.B) {
	const rounds = 4
	var mu sync.Mutex
	started := make([][]time.Time, 0, manyChecks)
	var left sync.WaitGroup
	left.Add(manyChecks)
	services := farm(nil)
	for i := range services {
		for j := range services[i].Checks {
			c, id := &services[i].Checks[j], len(started)
			started = append(started, nil)
			c.Probe = func(ctx context.Context) healthd.Outcome {
				mu.Lock()
				defer mu.Unlock()
				started[id] = append(started[id], time.Now())
				if len(started[id]) == rounds {
					left.Done()
				}
				return passes(ctx)
			}
		}
	}
	board, err := NewBoard(Settings{Services: services})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var parts sync.WaitGroup
	b.ResetTimer()
	for _, run := range []func(context.Context) error{board.Run, NewProbers(services, board).Run} {
		parts.Go(func() {
			if err := run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	left.Wait() // once, however often it is asked for: twenty seconds say enough
	cancel()
	parts.Wait()
	var late []time.Duration
	for _, at := range started {
		for i := 2; i < rounds; i++ {
			late = append(late, at[i].Sub(at[1])-time.Duration(i-1)*services[0].Checks[0].Interval)
		}
	}
	slices.Sort(late)
	b.ReportMetric(late[len(late)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(late[len(late)*99/100].Seconds()*1000, "p99-ms")
}
