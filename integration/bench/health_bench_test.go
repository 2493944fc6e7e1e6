package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

const (
	healthRounds  = 9
	healthRound   = time.Second
	healthCallers = 32
	healthLeast   = 0.9
)

// TestBenchHealth holds /health, with its checks going on behind it, against a bare net/http handler that writes the same bytes: medians
// of interleaved rounds.
func TestBenchHealth(t *testing.T) {
	asked(t)
	for _, checks := range []int{1, 200} {
		t.Run(fmt.Sprintf("%d checks", checks), func(t *testing.T) {
			ours := serveHealth(t, checks)
			body := fetch(t, ours)
			bare := serveBare(t, body)
			var a, b []float64
			for range healthRounds {
				a = append(a, requestsPerSecond(t, ours))
				b = append(b, requestsPerSecond(t, bare))
			}
			ratio := median(a) / median(b)
			t.Logf("/health of %d bytes, %d checks each second behind it: %.0f req/s; bare net/http handler: %.0f req/s; ratio %.3f (%d rounds)",
				len(body), checks, median(a), median(b), ratio, healthRounds)
			if ratio < healthLeast {
				t.Errorf("ratio %.3f is below %.2f", ratio, healthLeast)
			}
		})
	}
}

// serveHealth gives the url of a sidecar whose checks all pass, once a second each.
func serveHealth(t *testing.T, checks int) string {
	t.Helper()
	svc := probe.Service{Name: "web"}
	for i := range checks {
		svc.Checks = append(svc.Checks, probe.Check{
			Name: fmt.Sprintf("check-%03d", i), Kind: "http", Measurement: "responseTime", Interval: time.Second,
			Probe: func(context.Context) healthd.Outcome {
				return healthd.NewOutcome(time.Now(), 1234*time.Microsecond, healthd.OK, "status 200")
			},
		})
	}
	board, address := runHealth(t, svc)
	for s := board.Latest(); !s.Settled(); {
		var err error
		if s, err = board.Wait(t.Context(), s.Generation); err != nil {
			t.Fatal(err)
		}
	}
	return "http://" + address + "/health/web"
}

// runHealth runs a sidecar of one service until the test ends.
func runHealth(t *testing.T, svc probe.Service) (board *probe.Board, address string) {
	t.Helper()
	services := []probe.Service{svc}
	board, err := probe.NewBoard(probe.Settings{Services: services, Dir: t.TempDir(), Problem: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, run := range []func(context.Context) error{
		board.Run, probe.NewProbers(services, board).Run,
		func(ctx context.Context) error {
			return serve.NewHTTP(serve.HTTPSettings{Source: board}).Run(ctx, l)
		},
	} {
		parts.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); parts.Wait() })
	return board, l.Addr().String()
}

func serveBare(t *testing.T, body []byte) string {
	t.Helper()
	l := listen(t)
	kind := []string{"application/health+json"} // saves it the sniffing, as ours is saved it
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = kind
		_, _ = w.Write(body)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return "http://" + l.Addr().String() + "/health/web"
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return body
}

var wrkRate = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)

// requestsPerSecond loads the url for one round over kept connections, by wrk where it is installed.
func requestsPerSecond(t *testing.T, url string) float64 {
	t.Helper()
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return ownLoad(t, url)
	}
	out, err := exec.CommandContext(t.Context(), wrk, "-t1", "-c"+strconv.Itoa(healthCallers), "-d"+strconv.Itoa(int(healthRound.Seconds())), url).CombinedOutput()
	if err != nil {
		t.Fatalf("wrk: %v: %s", err, out)
	}
	m := wrkRate.FindSubmatch(out)
	if m == nil {
		t.Fatalf("wrk says %s", out)
	}
	rate, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return rate
}

func ownLoad(t *testing.T, url string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	start := time.Now()
	var callers sync.WaitGroup
	for range healthCallers {
		callers.Go(func() {
			c, err := net.Dial("tcp", req.URL.Host)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			r := bufio.NewReaderSize(c, 64<<10)
			for time.Since(start) < healthRound {
				if err := askOnce(c, r, req); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	callers.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

func askOnce(c net.Conn, r *bufio.Reader, req *http.Request) error {
	if err := req.Write(c); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
