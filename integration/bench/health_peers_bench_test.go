package bench

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/alexliesenfeld/health"
	healthgo "github.com/hellofresh/health-go/v5"
)

const (
	peerChecks = 10
	leastAlex  = 1.8
	leastHello = 2.1
)

// TestBenchHealthPeers holds /health against the two Go libraries that people embed for it, each with ten checks that take no time, by
// the median of what each round comes to: the three take turns in it, so that what else the machine does meets all of them.
func TestBenchHealthPeers(t *testing.T) {
	asked(t)
	fine := func(context.Context) error { return nil }
	var alex []health.CheckerOption
	ours := serveHealth(t, peerChecks)
	hello, err := healthgo.New(healthgo.WithComponent(healthgo.Component{Name: "web", Version: "v1"}))
	if err != nil {
		t.Fatal(err)
	}
	for i := range peerChecks {
		name := fmt.Sprintf("check-%03d", i)
		alex = append(alex, health.WithCheck(health.Check{Name: name, Check: fine, Timeout: time.Second}))
		if err := hello.Register(healthgo.Config{Name: name, Timeout: time.Second, Check: fine}); err != nil {
			t.Fatal(err)
		}
	}
	peers := []struct {
		name  string
		url   string
		least float64
		rates []float64
		ratio []float64
	}{
		{name: "alexliesenfeld/health", url: serveHandler(t, health.NewHandler(health.NewChecker(alex...))), least: leastAlex},
		{name: "hellofresh/health-go", url: serveHandler(t, hello.Handler()), least: leastHello},
	}
	var rates []float64
	for range healthRounds {
		rates = append(rates, requestsPerSecond(t, ours))
		for i := range peers {
			rate := requestsPerSecond(t, peers[i].url)
			peers[i].rates, peers[i].ratio = append(peers[i].rates, rate), append(peers[i].ratio, rates[len(rates)-1]/rate)
		}
	}
	for _, p := range peers {
		ratio := median(p.ratio)
		t.Logf("/health of %d bytes with %d checks: %.0f req/s; %s, %d bytes: %.0f req/s; ratio %.2f (%d rounds)",
			len(fetch(t, ours)), peerChecks, median(rates), p.name, len(fetch(t, p.url)), median(p.rates), ratio, healthRounds)
		if ratio < p.least {
			t.Errorf("ratio %.2f to %s is below %.2f", ratio, p.name, p.least)
		}
	}
}

// serveHandler gives the url of a plain server with the handler.
func serveHandler(t *testing.T, h http.Handler) string {
	t.Helper()
	l := listen(t)
	server := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return "http://" + l.Addr().String() + "/health"
}
