package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

const (
	checksBeside = 1000 // of each checker, once a second
	besideWarmUp = 10 * time.Second
	besideWindow = 10 * time.Second
	besideRounds = 3
)

// The most that a check may cost, as ratios of CPU time of whole processes in the same time.
const (
	freshOverBare   = 1.15 // of net/http without keep-alive
	freshOverConsul = 0.55
	reuseOverConsul = 0.25
)

// TestBenchCheckingBesideConsul has a sidecar, one with reuse, a bare net/http client and a Consul agent make the same 1,000
// checks a second, all at the same time, and compares their CPU time for each check that reached the server.
func TestBenchCheckingBesideConsul(t *testing.T) {
	asked(t)
	lbmedic := program(t)
	g := newTarget(t, 4)
	names := []string{"lbmedic", "lbmedic with reuse", "bare net/http", "Consul"}
	checkers := []*peer.Process{
		sidecar(t, lbmedic, g.ports[0], checksBeside, "interval: 1s, timeout: 900ms"),
		sidecar(t, lbmedic, g.ports[1], checksBeside, "interval: 1s, timeout: 900ms, reuse: true"),
		bareClient(t, g.ports[2]),
		consulChecks(t, g.ports[3]),
	}
	pass(besideWarmUp)
	each := make([][]float64, len(checkers)) // microseconds of CPU time for one check, by round
	for range besideRounds {
		n, spent := g.counts(), make([]time.Duration, len(checkers))
		for i, c := range checkers {
			spent[i] = cpuOf(t, c)
		}
		pass(besideWindow)
		after := g.counts()
		for i, c := range checkers {
			made := after[i] - n[i]
			if rate := float64(made) / besideWindow.Seconds(); rate < 0.95*checksBeside || rate > 1.05*checksBeside {
				t.Errorf("%s made %.0f checks a second, not %d", names[i], rate, checksBeside)
			}
			each[i] = append(each[i], float64((cpuOf(t, c)-spent[i]).Microseconds())/float64(made))
		}
	}
	for i, c := range checkers {
		t.Logf("%-20s %4.0f us of CPU a check (%.0f), %4.0f MB", names[i], median(each[i]), each[i], rssOf(t, c))
	}
	atMost(t, "a fresh connection against net/http", median(each[0])/median(each[2]), freshOverBare)
	atMost(t, "a fresh connection against Consul", median(each[0])/median(each[3]), freshOverConsul)
	atMost(t, "reuse against Consul", median(each[1])/median(each[3]), reuseOverConsul)
}

func atMost(t *testing.T, what string, ratio, most float64) {
	t.Helper()
	t.Logf("%s: %.2f, at most %.2f", what, ratio, most)
	if ratio > most {
		t.Errorf("%s: %.2f is over %.2f", what, ratio, most)
	}
}

const bareURL = "LBMEDIC_BENCH_BARE"

// bareClient runs this test program again, alone with TestBareClient.
func bareClient(t *testing.T, address string) *peer.Process {
	t.Helper()
	return peertest.Start(t, peer.Server{Path: self(t), Args: []string{"-test.run", "^TestBareClient$", "-test.timeout", "4h"},
		Env: []string{bareURL + "=http://" + address}, Ready: func() error { return nil }})
}

// TestBareClient asks as anybody would write it: net/http, a connection for each request, the body read to its end.
func TestBareClient(t *testing.T) {
	url := os.Getenv(bareURL)
	if url == "" {
		t.Skip("part of TestBenchCheckingBesideConsul")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
	ask := func(i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), 900*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/%d", url, i), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	for i := range checksBeside {
		go func() {
			pass(time.Second * time.Duration(i) / checksBeside)
			for range time.Tick(time.Second) {
				if err := ask(i); err != nil {
					fmt.Println(err)
				}
			}
		}()
	}
	select {} // until it is killed
}

// consulChecks has an agent make the checks.
func consulChecks(t *testing.T, address string) *peer.Process {
	t.Helper()
	agent := peertest.Consul(t, "")
	var checks []map[string]string
	for i := range checksBeside {
		checks = append(checks, map[string]string{"CheckID": fmt.Sprintf("c%d", i), "HTTP": fmt.Sprintf("http://%s/%d", address, i), "Interval": "1s", "Timeout": "900ms"})
	}
	body, err := json.Marshal(map[string]any{"Name": "web", "Checks": checks})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+agent.Address+"/v1/agent/service/register", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || err != nil {
		t.Fatalf("register: %s: %s %v", resp.Status, text, err)
	}
	return agent.Process
}
