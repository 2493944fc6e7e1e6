package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
)

const (
	statBackends = 100
	statServers  = 100 // of each backend
	statPairs    = 41
)

// TestBenchShowStat compares reading `show stat` of 10,000 servers into typed values with throwing the same bytes
// away, in turns, on a real HAProxy of each version.
func TestBenchShowStat(t *testing.T) {
	asked(t)
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		h := peertest.HAProxy(t, prog, dir, statConfig(dir))
		client := runtime.New(runtime.Settings{Address: h.Socket, Timeout: 30 * time.Second})
		size := discardStat(t, h.Socket)
		if n := parseStat(t, client); n != statBackends*(statServers+1)+1 {
			t.Fatalf("%d rows", n)
		}
		throughMaster(t, h)
		var discards, parses, ratios []float64
		for i := range statPairs {
			var discard, parse time.Duration
			first, second := func() { discard = timed(func() { discardStat(t, h.Socket) }) }, func() { parse = timed(func() { parseStat(t, client) }) }
			if i%2 == 1 {
				first, second = second, first
			}
			first()
			second()
			discards = append(discards, discard.Seconds()*1e3)
			parses = append(parses, parse.Seconds()*1e3)
			ratios = append(ratios, parse.Seconds()/discard.Seconds())
		}
		allocs := testing.AllocsPerRun(5, func() { parseStat(t, client) })
		rss := statRSS(t, h.Socket)
		ratio := median(parses) / median(discards)
		t.Logf("%s: show stat of %d servers, %.2f MB: discarding %.1f ms, parsed %.1f ms, ratio of medians %.2f, median of ratios %.2f (%d pairs), %.0f allocations; a process that does it: %.1f MB peak",
			prog.Name, statBackends*statServers, float64(size)/1e6, median(discards), median(parses), ratio, median(ratios), statPairs, allocs, rss)
		if ratio > 1.25 {
			t.Errorf("parsing takes %.2f times a discarding read; at most 1.25 is promised", ratio)
		}
		if rss > 60 {
			t.Errorf("the process took %.1f MB; at most 60 are promised", rss)
		}
	})
}

// asked skips a benchmark unless it was asked for, by LBMEDIC_BENCH=1 as `make bench` does.
func asked(t *testing.T) {
	t.Helper()
	if os.Getenv("LBMEDIC_BENCH") != "1" {
		t.Skip("a benchmark; run `make bench`")
	}
}

func statConfig(dir string) string {
	var b strings.Builder
	b.WriteString(peer.HAProxyGlobal(dir))
	b.WriteString("defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\nfrontend front\n    bind unix@" + dir + "/front.sock\n    default_backend b0\n")
	for i := range statBackends {
		fmt.Fprintf(&b, "backend b%d\n    balance roundrobin\n", i)
		for k := range statServers {
			fmt.Fprintf(&b, "    server app%d 127.0.%d.%d:8080 weight 10 cookie c%d\n", k, i, k+1, k)
		}
	}
	return b.String()
}

// discardStat reads the same batch as the client sends, and throws it away.
func discardStat(t testing.TB, socket string) int64 {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "set severity-output number;show info;show stat\n"); err != nil {
		t.Fatal(err)
	}
	var total int64
	buf := make([]byte, 128<<10)
	for {
		n, err := conn.Read(buf)
		total += int64(n)
		if err == io.EOF {
			return total
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func parseStat(t testing.TB, client *runtime.Client) int {
	t.Helper()
	rows := 0
	if _, err := client.Stat(context.Background(), func(r *runtime.StatRow) error {
		if r.Type == runtime.Server && (r.Weight != 10 || r.Addr == "") {
			return fmt.Errorf("%+v", *r)
		}
		rows++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// throughMaster reads the same through the master socket, where the client has to half-close before the reply begins.
func throughMaster(t *testing.T, h *peer.HAProxy) {
	t.Helper()
	master := runtime.NewMaster(runtime.Settings{Address: h.Master, Timeout: 30 * time.Second})
	all, err := master.Processes(t.Context())
	if err != nil || len(all.Workers) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	rows, states := 0, 0
	_, err = master.Read(t.Context(), all.Workers[0].PID, runtime.Stat(func(*runtime.StatRow) error { rows++; return nil }),
		runtime.ServerStates("", func(*runtime.ServerState) error { states++; return nil }))
	if err != nil || rows != statBackends*(statServers+1)+1 || states != statBackends*statServers {
		t.Errorf("%d rows and %d states through the master: %v", rows, states, err)
	}
}

const statRSSSocket = "LBMEDIC_BENCH_STAT_SOCKET"

// statRSS runs this test program again, alone with one task, and gives its peak memory in MB.
func statRSS(t *testing.T, socket string) float64 {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestStatProcess$", "-test.v")
	cmd.Env = append(os.Environ(), statRSSSocket+"="+socket)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, after, ok := bytes.Cut(out, []byte("VmHWM:"))
	fields := bytes.Fields(after)
	if !ok || len(fields) < 1 {
		t.Fatalf("%s", out)
	}
	kib, err := strconv.ParseFloat(string(fields[0]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib * 1024 / 1e6
}

// TestStatProcess is what statRSS runs: ten readings, after which every row of the last is still held.
func TestStatProcess(t *testing.T) {
	socket := os.Getenv(statRSSSocket)
	if socket == "" {
		t.Skip("part of TestBenchShowStat")
	}
	client := runtime.New(runtime.Settings{Address: socket, Timeout: 30 * time.Second})
	var rows []runtime.StatRow
	for range 10 {
		rows = rows[:0]
		if _, err := client.Stat(t.Context(), func(r *runtime.StatRow) error { rows = append(rows, *r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "VmHWM:") {
			t.Logf("%d rows, %s", len(rows), lines.Text())
		}
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
