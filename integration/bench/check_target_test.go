package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// target is the server that checks ask, a process of its own: it counts what comes on each of its ports, and can write
// down when each path was asked for.
type target struct {
	t       *testing.T
	process *peer.Process
	ports   []string // "127.0.0.1:8080"
	control string
}

const (
	targetPorts = "LBMEDIC_BENCH_TARGET" // addresses with commas between, the last for control
	targetBody  = `{"status":"pass"}` + "\n"
)

// newTarget runs this test program again, alone with TestCheckTarget.
func newTarget(t *testing.T, ports int) *target {
	t.Helper()
	var addresses []string
	for range ports + 1 {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", peertest.Port(t)))
	}
	g := &target{t: t, ports: addresses[:ports], control: addresses[ports]}
	g.process = peertest.Start(t, peer.Server{Path: self(t), Args: []string{"-test.run", "^TestCheckTarget$", "-test.timeout", "4h"},
		Env: []string{targetPorts + "=" + strings.Join(addresses, ",")}, Ready: peer.Accepts(addresses...)})
	return g
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCheckTarget is what newTarget runs, until it is killed.
func TestCheckTarget(t *testing.T) {
	all := os.Getenv(targetPorts)
	if all == "" {
		t.Skip("part of the benchmarks of checking")
	}
	addresses := strings.Split(all, ",")
	counts := make([]atomic.Int64, len(addresses)-1)
	var arrivals arrivals
	for i, address := range addresses[:len(addresses)-1] {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // until the process is killed
				counts[i].Add(1)
				arrivals.note(r.URL.Path)
				_, _ = io.WriteString(w, targetBody)
			}))
		}()
	}
	control := http.NewServeMux()
	control.HandleFunc("/counts", func(w http.ResponseWriter, _ *http.Request) {
		now := make([]int64, len(counts))
		for i := range counts {
			now[i] = counts[i].Load()
		}
		_ = json.NewEncoder(w).Encode(now)
	})
	control.HandleFunc("/record", func(http.ResponseWriter, *http.Request) { arrivals.begin() })
	control.HandleFunc("/arrivals", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(arrivals.end()) })
	t.Fatal(http.ListenAndServe(addresses[len(addresses)-1], control))
}

// arrivals are the times at which paths were asked for, in nanoseconds since the first was to be noted.
type arrivals struct {
	mu    sync.Mutex
	since time.Time
	at    map[string][]int64 // nil: none are noted
}

func (a *arrivals) note(path string) {
	a.mu.Lock()
	if a.at != nil {
		a.at[path] = append(a.at[path], time.Since(a.since).Nanoseconds())
	}
	a.mu.Unlock()
}

func (a *arrivals) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since, a.at = time.Now(), map[string][]int64{}
}

func (a *arrivals) end() map[string][]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.at = nil }()
	return a.at
}

func (g *target) ask(path string, into any) {
	g.t.Helper()
	resp, err := http.Get("http://" + g.control + path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	if into == nil {
		return
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		g.t.Fatal(err)
	}
}

// counts is how many requests came on each port so far.
func (g *target) counts() (n []int64) {
	g.t.Helper()
	g.ask("/counts", &n)
	return n
}

// sidecar runs the real program with checks that ask one port of the target, a path each.
func sidecar(t *testing.T, program, address string, checks int, options string) *peer.Process {
	t.Helper()
	dir := peertest.Dir(t)
	listen := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
	var b strings.Builder
	fmt.Fprintf(&b, "health:\n  http: %s\n  agent: off\n  on_term: leave\n  services:\n", listen)
	for i := range checks {
		if i%100 == 0 {
			fmt.Fprintf(&b, "    s%d:\n      checks:\n", i/100)
		}
		fmt.Fprintf(&b, "        c%d: {http: \"http://%s/%d\", %s}\n", i, address, i, options)
	}
	fmt.Fprintf(&b, "admin: {socket: %s/admin.sock, http: off}\nstate: %[1]s/state\n", dir)
	config := dir + "/lbmedic.yaml"
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return peertest.Start(t, peer.Server{Path: program, Args: []string{"run", "--config", config}, Limit: time.Minute, Ready: func() error {
		resp, err := http.Get("http://" + listen + "/health")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
		return nil
	}})
}

// program builds lbmedic as it is shipped.
func program(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/lbmedic"
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", path, "github.com/lbmedic/lbmedic/cmd/lbmedic")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// cpuOf is the CPU time that a process has taken so far, in steps of 10 ms.
func cpuOf(t *testing.T, p *peer.Process) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
}

// rssOf is the memory of a process that is resident now, in MB.
func rssOf(t *testing.T, p *peer.Process) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return float64(pages) * float64(syscall.Getpagesize()) / 1e6
}

// pass waits on the clock: a measured stretch of time is no condition to wait for.
func pass(d time.Duration) { <-time.After(d) }
