package daemon

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// parse is a configuration in dir with a service of that name beside an app.
func parse(t *testing.T, dir, service, app string, agent int) *config.Config {
	t.Helper()
	text := fmt.Sprintf(`
health:
  http: off
  agent: 127.0.0.1:%d
  services:
    %s: {checks: {port: {tcp: %s, interval: 100ms}}}
admin: {socket: %s, http: off}
state: %s
`, agent, service, app, filepath.Join(dir, "a.sock"), filepath.Join(dir, "state"))
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestTheAgentCheckAnswersAfterAReloadThatRenamesItsService(t *testing.T) {
	dir, port, app := t.TempDir(), peertest.Port(t), listener(t).Addr().String()
	d, err := New(parse(t, dir, "web", app, port), "v1", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	answers := func(when string) {
		t.Helper()
		tick, deadline := time.NewTicker(20*time.Millisecond), time.After(10*time.Second)
		defer tick.Stop()
		for {
			if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				line, _ := bufio.NewReader(c).ReadString('\n')
				_ = c.Close()
				if strings.HasPrefix(line, "up") {
					return
				}
			}
			select {
			case <-deadline:
				t.Fatalf("no answer %s", when)
			case <-tick.C:
			}
		}
	}
	answers("at the start")
	if err := d.Reload(parse(t, dir, "shop", app, port)); err != nil {
		t.Fatal(err)
	}
	answers("after the reload")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestASocketThatIsTakenFailsTheStartAndLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("unix", filepath.Join(dir, "a.sock"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, dir, "web", listener(t).Addr().String(), peertest.Port(t))
	if _, err := New(cfg, "v1", zap.NewNop()); err == nil || !strings.Contains(err.Error(), "is lbmedic running already?") {
		t.Errorf("got %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := New(cfg, "v1", zap.NewNop()) // needs the lock of the state directory
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Run(ctx); err != nil {
		t.Error(err)
	}
}
