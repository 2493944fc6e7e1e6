package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// Five different mistakes: all of them at once, each with its place, and nothing was begun.
func TestBadConfigurationStartsNothing(t *testing.T) {
	t.Parallel()
	dir, at := peertest.Dir(t), network()
	file := filepath.Join(dir, "lbmedic.yaml")
	config := fmt.Sprintf(`health:
  http: %s1:7780
  intervall: 2s
  services:
    web:
      checks:
        app: {http: "ftp://127.0.0.1/", rise: 0}
balancers:
  edge: {haproxy: {config: haproxy.cfg, socket: %s/haproxy.sock}}
policy: {mode: enforced}
admin: {socket: %s/admin.sock, http: off}
state: %s/state
`, at, dir, dir, dir)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	got := runCLI(t, "run", "--config", file)
	if got.code != 1 {
		t.Errorf("exit status %d", got.code)
	}
	for _, place := range []string{":3:3: ", ":7:21: ", ":7:47: ", ":9:28: ", ":10:16: "} {
		if !strings.Contains(got.stderr, file+place) {
			t.Errorf("nothing is said of %s", place)
		}
	}
	if t.Failed() {
		t.Logf("it said:\n%s", got.stderr)
	}
	for _, path := range []string{dir + "/state", dir + "/admin.sock"} {
		if exists(path) {
			t.Errorf("%s was made", path)
		}
	}
}

// A state directory has one process. The second ends at once and names the first, which goes on.
func TestSecondProcessOnAStateDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	m := newSidecarAlone(t)
	m.start()
	second := runCLI(t, "run", "--config", m.config)
	if second.code != 1 || !oneLine(second.stderr) || !strings.Contains(second.stderr, fmt.Sprint(m.cmd.Process.Pid)) {
		t.Errorf("it ended with %d and said %q", second.code, second.stderr)
	}
	if _, err := m.client.Status(t.Context()); err != nil {
		t.Errorf("the first no longer answers: %v", err)
	}
	if code := m.end(syscall.SIGINT); code != 0 && code != 130 {
		t.Errorf("the first ended with %d", code)
	}
	m.start() // the lock went with it
}

func TestTakenPortIsToldInOneLine(t *testing.T) {
	t.Parallel()
	m := newSidecarAlone(t)
	l, err := net.Listen("tcp", m.at+"1:7780")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := runCLI(t, "run", "--config", m.config)
	if got.code != 1 || !oneLine(got.stderr) || !strings.Contains(got.stderr, m.at+"1:7780") {
		t.Errorf("it ended with %d and said %q", got.code, got.stderr)
	}
}

// sidecarAlone is a sidecar beside one app, and the network that is its own.
type sidecarAlone struct {
	*medic
	at string
}

func newSidecarAlone(t *testing.T) sidecarAlone {
	t.Helper()
	at := network()
	a := newApp(t, "app", at+"1:8080")
	config := fmt.Sprintf(`health:
  http: %s1:7780
  agent: off
  services:
    web:
      address: %s
      checks: {app: {http: "http://%s/healthz", interval: 200ms, timeout: 190ms}}
`, at, a.address, a.address)
	return sidecarAlone{newMedic(t, peertest.Dir(t), "side", config), at}
}

// SIGTERM drains: everybody who asks hears it before the end.
func TestTermDrainsFirst(t *testing.T) {
	t.Parallel()
	m := newSidecarAlone(t)
	m.start()
	began := time.Now()
	ended := make(chan int, 1)
	go func() { ended <- m.end(syscall.SIGTERM) }()
	until(t, "the sidecar says that it drains", func() bool { return strings.Contains(m.log.String(), "draining before the stop") })
	snapshot, err := m.client.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := snapshot.Services[0]; s.Admin.State.String() != "drain" {
		t.Errorf("while it drains, the service reads %+v", s.Admin)
	}
	if code := <-ended; code != 0 {
		t.Errorf("it ended with %d", code)
	}
	t.Logf("ended %s after SIGTERM", time.Since(began).Round(time.Millisecond))
	m.start()
	until(t, "its next start ends the drain", func() bool {
		snapshot, err := m.client.Health(t.Context())
		return err == nil && snapshot.Services[0].Admin.State.String() == "ready"
	})
}
