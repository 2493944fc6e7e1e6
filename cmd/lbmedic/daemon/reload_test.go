package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// house is a daemon with one service, and what a reload changes of its configuration.
type house struct {
	t    *testing.T
	dir  string
	app  string
	http int
	own  *Daemon
}

// settings are what one configuration of a house has beside the usual.
type settings struct {
	http, agent  int
	more, checks string
}

func newHouse(t *testing.T) *house {
	return &house{t: t, dir: t.TempDir(), app: listener(t).Addr().String()}
}

func (h *house) config(s settings) *config.Config {
	h.t.Helper()
	text := fmt.Sprintf("health:\n  http: 127.0.0.1:%d\n  agent: 127.0.0.1:%d\n%s  services:\n    web:\n      checks:\n"+
		"        port: {tcp: %s, interval: 100ms}\n%sadmin: {socket: %s, http: off}\nstate: %s\n",
		s.http, s.agent, s.more, h.app, s.checks, filepath.Join(h.dir, "a.sock"), filepath.Join(h.dir, "state"))
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		h.t.Fatal(err)
	}
	return cfg
}

// run starts the daemon, which ends with the test, and returns once the agent-check answers.
func (h *house) run(s settings) *Daemon {
	h.t.Helper()
	d, err := New(h.config(s), "v1", zap.NewNop())
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	waitFor(h.t, "the agent-check answers", func() bool { return askAgent(s.agent) == nil })
	return d
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(5*time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// askAgent is nil where the agent-check says "up".
func askAgent(port int) error {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	line, err := io.ReadAll(c)
	if err == nil && string(line) != "up\n" {
		err = fmt.Errorf("it says %q", line)
	}
	return err
}

func askHTTP(c *http.Client, port int) error {
	resp, err := c.Get(fmt.Sprintf("http://127.0.0.1:%d/health/web", port))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// Whatever a reload changes, nobody who asks sees it: not over a fresh connection, nor over one that is kept, nor by the agent-check. A long
// poll that is under way ends as any other does.
func TestAHundredReloadsAreNotNoticed(t *testing.T) {
	h := newHouse(t)
	same := settings{http: peertest.Port(t), agent: peertest.Port(t)}
	other := same
	other.checks = "        again: {tcp: " + h.app + ", interval: 150ms}\n"
	for name, changes := range map[string][]settings{
		"nothing":                   {same},
		"the checks":                {same, other},
		"tokens and the slow start": {same, {http: same.http, agent: same.agent, more: "  tokens: [0123456789abcdef0123]\n  slow_start: 10s\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			d := h.run(same)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var asking sync.WaitGroup
			var asked, heard atomic.Int64
			repeat := func(what string, ask func() error) {
				asking.Go(func() {
					for ctx.Err() == nil {
						if err := ask(); err != nil && ctx.Err() == nil {
							t.Errorf("%s: %v", what, err)
							return
						}
						asked.Add(1)
					}
				})
			}
			fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
			kept := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
			defer kept.CloseIdleConnections()
			repeat("a fresh connection", func() error { return askHTTP(fresh, same.http) })
			repeat("a kept connection", func() error { return askHTTP(kept, same.http) })
			repeat("the agent-check", func() error { return askAgent(same.agent) })
			follower := client.New(client.Settings{})
			defer follower.Close()
			asking.Go(func() {
				follower.Follow(ctx, fmt.Sprintf("http://127.0.0.1:%d/health/web", same.http), func(a client.Answer, err error) {
					heard.Add(1)
					if err != nil || a.Status != healthd.Pass {
						t.Errorf("a long poll: %s, %v", a.Status, err)
					}
				})
			})
			for i := range 100 {
				before := asked.Load()
				if err := d.Reload(h.config(changes[i%len(changes)])); err != nil {
					t.Fatal(err)
				}
				waitFor(t, "more was asked", func() bool { return t.Failed() || asked.Load() > before+10 })
			}
			stop()
			asking.Wait()
			t.Logf("%d asked, %d long polls", asked.Load(), heard.Load())
		})
	}
}

func TestAReloadOpensTheNewAddressesBeforeItClosesTheOld(t *testing.T) {
	h := newHouse(t)
	first := settings{http: peertest.Port(t), agent: peertest.Port(t)}
	d := h.run(first)
	next := settings{http: peertest.Port(t), agent: peertest.Port(t)}
	if err := d.Reload(h.config(next)); err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if err := errors.Join(askHTTP(c, next.http), askAgent(next.agent)); err != nil {
		t.Errorf("at the new addresses: %v", err)
	}
	refused := func(port int) func() bool {
		return func() bool {
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				_ = c.Close()
			}
			return err != nil
		}
	}
	waitFor(t, "the old http address is closed", refused(first.http))
	waitFor(t, "the old agent address is closed", refused(first.agent))

	taken := listener(t).Addr().(*net.TCPAddr).Port
	for name, bad := range map[string]settings{
		"http":  {http: taken, agent: peertest.Port(t)},
		"agent": {http: peertest.Port(t), agent: taken},
	} {
		err := d.Reload(h.config(bad))
		if err == nil || !strings.Contains(err.Error(), "health."+name) {
			t.Errorf("a taken %s address: %v", name, err)
		}
		if err := errors.Join(askHTTP(c, next.http), askAgent(next.agent)); err != nil {
			t.Errorf("after a refused reload: %v", err)
		}
		if !refused(bad.http)() && bad.http != taken || !refused(bad.agent)() && bad.agent != taken {
			t.Errorf("what the refused reload had opened stays open")
		}
	}
}

// A file that is wrong changes nothing, is said until a reading succeeds, and does not stand in the way of the next one.
func TestABadReadingChangesNothing(t *testing.T) {
	h := newHouse(t)
	s := settings{http: peertest.Port(t), agent: peertest.Port(t)}
	d := h.run(s)
	before := d.Reading()
	err := d.Reread(func() (*config.Config, error) {
		return config.Parse("lbmedic.yaml", []byte("health: {services: {web: {checks: {a: {htp: x}}}}}\n"))
	})
	if err == nil {
		t.Fatal("it was taken")
	}
	if got := d.Reading(); got.Wrong == "" || got.At != before.At || strings.Contains(got.Wrong, "\n") {
		t.Errorf("the reading is %+v", got)
	}
	if got := d.statusLine(); !strings.Contains(got, "the configuration was not taken: lbmedic.yaml:1:") {
		t.Errorf("systemd sees %q", got)
	}
	if err := askHTTP(http.DefaultClient, s.http); err != nil {
		t.Error(err)
	}
	if err := d.Reread(func() (*config.Config, error) { return h.config(s), nil }); err != nil {
		t.Fatal(err)
	}
	if got := d.Reading(); got.Wrong != "" || !got.At.After(before.At) {
		t.Errorf("after a good one the reading is %+v", got)
	}
}

// Reloads leave nothing behind: no socket of an address that was given up, and no server that goes on.
func TestReloadsLeaveNothingOpen(t *testing.T) {
	h := newHouse(t)
	var all []settings
	for i := range 3 {
		s := settings{http: peertest.Port(t), agent: peertest.Port(t)}
		if i == 1 {
			s.more = "  tokens: [0123456789abcdef0123]\n  slow_start: 10s\n"
		}
		all = append(all, s)
	}
	all = append(all, settings{http: all[0].http, agent: all[0].agent, more: "  drain_as: 0%\n"})
	d := h.run(all[0])
	rounds := func(n int) {
		t.Helper()
		for i := range n * len(all) {
			s := all[i%len(all)]
			waitFor(t, "a reload is taken", func() bool { return d.Reload(h.config(s)) == nil }) // an address may still be in use by the one before
		}
		waitFor(t, "it answers", func() bool {
			return errors.Join(askHTTP(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, all[3].http), askAgent(all[3].agent)) == nil
		})
	}
	rounds(2)
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	rounds(20)
	waitFor(t, "everything that was replaced has ended", func() bool { return descriptors(t) <= fds+3 && runtime.NumGoroutine() <= goroutines+5 })
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// A reload while the first round is under way says no more than there is to say: not ready, and no word for an agent-check.
func TestReloadInTheFirstRoundIsNotReady(t *testing.T) {
	m := newManager(t)
	h := newHouse(t)
	silent := listener(t)
	s := settings{http: peertest.Port(t), agent: peertest.Port(t),
		checks: fmt.Sprintf("        slow: {http: 'http://%s/', interval: 60s, timeout: 30s}\n", silent.Addr())}
	d, err := New(h.config(s), "v1", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	answers := func() bool {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/livez", s.http))
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	}
	waitFor(t, "it serves", answers)
	for _, more := range []string{"  drain_as: drain\n", "  drain_as: 0%\n"} {
		s.more = more
		if err := d.Reread(func() (*config.Config, error) { return h.config(s), nil }); err != nil {
			t.Fatal(err)
		}
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.agent)); err == nil {
			_ = c.Close()
			t.Error("the agent's port is open before the first round is over")
		}
	}
	if err := m.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 4096); ; {
		n, err := m.conn.Read(buf)
		if err != nil {
			break
		}
		if text := string(buf[:n]); strings.Contains(text, "READY=1") || strings.Contains(text, "RELOADING") {
			t.Errorf("systemd heard %q", text)
		}
	}
}
