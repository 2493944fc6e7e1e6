package check

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// local is an address of this host that nobody listens on yet.
func local(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(peertest.Port(t)))
}

func portIn(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// judged asks once and holds the outcome against a class and a part of its detail.
func judged(t *testing.T, kind, target string, o options, class healthd.Class, detail string) healthd.Outcome {
	t.Helper()
	patience := 5 * time.Second
	if class == healthd.TimedOut {
		patience = 300 * time.Millisecond
	}
	got := probe(t, kind, target, o, patience)
	if got.Class != class || !strings.Contains(got.Detail, detail) {
		t.Errorf("%s %s %v: %s: %q, want %s: %q", kind, target, o, got.Class, got.Detail, class, detail)
	}
	return got
}

// frozen stops the server and all it started with SIGSTOP while body runs: the kernel still accepts connections for it.
func frozen(t *testing.T, server *peer.Process, body func()) {
	t.Helper()
	if err := syscall.Kill(-server.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Kill(-server.PID(), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}()
	tick := time.NewTicker(time.Millisecond) // the signal takes a moment to reach each thread
	defer tick.Stop()
	for !stopped(t, server.PID()) {
		<-tick.C
	}
	body()
}

// stopped reports whether every thread of the process is.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, path := range threads {
		if stat, err := os.ReadFile(path); err != nil || !strings.Contains(string(stat), ") T ") {
			return false
		}
	}
	return true
}
