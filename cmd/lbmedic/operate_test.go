package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// farm is a real HAProxy before three apps, and what the commands need of lbmedic's daemon.
type farm struct {
	t       *testing.T
	haproxy *peer.HAProxy
	front   string
	config  string        // path of lbmedic.yaml
	held    chan struct{} // lets one request of an app end
	arrived chan struct{}
	stop    func() // ends the daemon
}

func newFarm(t *testing.T, prog peer.Program) *farm {
	t.Helper()
	dir := peertest.Dir(t)
	f := &farm{t: t, front: fmt.Sprintf("127.0.0.1:%d", peertest.Port(t)), config: filepath.Join(dir, "lbmedic.yaml"),
		held: make(chan struct{}), arrived: make(chan struct{}, 10)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.arrived <- struct{}{}
		<-f.held
	})
	cfg := peer.HAProxyGlobal(dir) + "defaults\n    mode http\n    timeout client 20s\n    timeout server 20s\n    timeout connect 1s\n    timeout check 5s\n" +
		"frontend f\n    bind " + f.front + "\n    default_backend web\nbackend web\n    balance first\n"
	for i := range 3 {
		app := httptest.NewServer(handler)
		t.Cleanup(app.Close)
		cfg += fmt.Sprintf("    server s%d %s check inter 100ms rise 2 fall 2\n", i, app.Listener.Addr())
	}
	t.Cleanup(func() { close(f.held) }) // before the apps are closed, which wait for their requests
	f.haproxy = peertest.HAProxy(t, prog, dir, cfg)
	yaml := fmt.Sprintf("balancers:\n  edge: {haproxy: {config: %q, socket: %q, master_socket: %q}}\nadmin: {socket: %q, http: off}\nstate: %q\n",
		f.haproxy.Config, f.haproxy.Socket, f.haproxy.Master, filepath.Join(dir, "l.sock"), filepath.Join(dir, "state"))
	if err := os.WriteFile(f.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	f.start()
	return f
}

func (f *farm) load() *config.Config {
	f.t.Helper()
	cfg, err := config.Load(f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	return cfg
}

// start runs a controller and the admin API in this process.
func (f *farm) start() {
	f.t.Helper()
	cfg := f.load()
	book, err := (&app{stderr: f.t.Output()}).openBook(cfg.State)
	if err != nil {
		f.t.Fatal(err)
	}
	sidecars := control.NewSidecars(client.New(client.Settings{}))
	c := control.New(control.Settings{Name: "edge", Policy: anyPolicy, Interval: 50 * time.Millisecond}, daemon.NewBalancer(cfg.Balancers[0]), book, sidecars, zap.NewNop())
	server := &admin.Server{Socket: cfg.Admin.Socket, Group: "no-such-group", Book: book, Controllers: map[string]*control.Controller{"edge": c}}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{c.Run, server.Run} {
		parts.Go(func() {
			if err := part(ctx); err != nil {
				f.t.Error(err)
			}
		})
	}
	f.stop = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
		sidecars.Close()
		if err := book.Close(); err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(f.stop)
	f.until("three servers up", func() bool {
		code, out, _ := f.lbmedic(f.t.Context(), "status")
		return code == exitDone && strings.Count(out, "  up  ") == 3 && !strings.Contains(out, "no daemon")
	})
}

func (f *farm) until(what string, ok func() bool) {
	f.t.Helper()
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			f.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// lbmedic runs the program.
func (f *farm) lbmedic(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, append([]string{"--config", f.config}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// expect runs the program and looks at its status and at what it printed.
func (f *farm) expect(code int, words string, args ...string) string {
	f.t.Helper()
	got, out, errs := f.lbmedic(f.t.Context(), args...)
	if got != code || !strings.Contains(out+errs, words) {
		f.t.Errorf("lbmedic %s: status %d, want %d and %q\n%s%s", strings.Join(args, " "), got, code, words, out, errs)
	}
	return out
}

// request begins a request that the app holds, and returns once the app has it.
func (f *farm) request() (answered chan error) {
	f.t.Helper()
	answered = make(chan error, 1)
	go func() {
		res, err := http.Post("http://"+f.front, "text/plain", strings.NewReader("order"))
		if err == nil {
			err = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %s", res.Status)
			}
		}
		answered <- err
	}()
	<-f.arrived
	return answered
}

func TestDrainWaitsForTheLastRequest(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		f := newFarm(t, prog)
		answered := f.request()
		f.expect(exitPeer, "edge/web/s0 is not drained after 400ms: draining: 1 ", "drain", "web/s0", "--wait", "--timeout", "400ms", "--reason", "deploy")
		f.expect(exitDone, "deploy", "status")

		type result struct {
			code int
			out  string
		}
		ended := make(chan result, 1)
		go func() {
			code, out, errs := f.lbmedic(t.Context(), "drain", "web/s0", "--wait", "--timeout", "20s")
			ended <- result{code, out + errs}
		}()
		select {
		case r := <-ended:
			t.Fatalf("it ended before the request did: %+v", r)
		case <-time.After(300 * time.Millisecond):
		}
		f.held <- struct{}{}
		if err := <-answered; err != nil {
			t.Errorf("the request was lost: %v", err)
		}
		if r := <-ended; r.code != exitDone || !strings.Contains(r.out, "edge/web/s0: drained") {
			t.Errorf("got %+v", r)
		}
		f.expect(exitDone, "ready edge/web/s0", "ready", "web/s0")
	})
}

func TestOrdersBelowTheFloorNeedForce(t *testing.T) {
	f := newFarm(t, peertest.One(t, "haproxy"))
	f.expect(exitDone, "maint edge/web/s0: ordered by", "maint", "web/s0", "--for", "1h")
	f.expect(exitPeer, "capacity-floor", "drain", "web/s1")
	f.expect(exitPeer, "drain web/s9: no balancer has web/s9", "drain", "web/s1", "web/s9", "--force")
	f.expect(exitPeer, "nothing was ordered for any of them", "drain", "web/s1", "web/s9", "--force")
	if out := f.expect(exitDone, "edge: observe, HAProxy ", "status"); strings.Contains(out, "  drain  ") {
		t.Errorf("the first of two names was ordered although the second means nothing\n%s", out)
	}
	f.expect(exitDone, "maint edge/web/s0: ordered by "+admin.Name(os.Getuid())+" until `lbmedic ready` ends it", "maint", "web/s0")
	var results []ordered
	if err := json.Unmarshal([]byte(f.expect(exitDone, "", "ready", "web/s0", "edge/web/s1", "-o", "json")), &results); err != nil || len(results) != 2 || results[1].Done == nil {
		t.Errorf("got %+v, %v", results, err)
	}
	f.expect(exitDone, "  order    maint edge/web/s0 by ", "events")
}

func TestAnInterruptedWaitSaysThatTheOrderStands(t *testing.T) {
	f := newFarm(t, peertest.One(t, "haproxy"))
	f.request()
	ctx, interrupt := context.WithCancelCause(t.Context())
	type result struct {
		code int
		errs string
	}
	ended := make(chan result, 1)
	go func() {
		code, _, errs := f.lbmedic(ctx, "drain", "web/s0", "--wait")
		ended <- result{code, errs}
	}()
	f.until("ordered", func() bool { _, out, _ := f.lbmedic(t.Context(), "status"); return strings.Contains(out, "  drain  ") })
	interrupt(stoppedBy{syscall.SIGINT})
	r := <-ended
	if r.code != 130 || !strings.Contains(r.errs, "the drain stands until `lbmedic ready edge/web/s0`") && !strings.Contains(r.errs, "may have been taken") {
		t.Errorf("got %+v", r)
	}
	f.expect(exitDone, "  drain  ", "status")
}

func TestStatusAndReleaseWorkWithoutTheDaemon(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		f := newFarm(t, prog)
		f.expect(exitDone, "", "drain", "web/s1", "--reason", "deploy")
		f.stop()
		f.takeAndDie("s0")
		out := f.expect(exitDone, "no daemon: read directly", "status")
		for _, want := range []string{"automation", "sidecar-fails", "deploy"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		f.expect(exitPeer, "is not running", "drain", "web/s2")
		f.expect(exitDone, "released edge/web/s0", "release", "--all")
		f.until("s0 back by its own rise, s1 left to its operator", func() bool {
			_, out, _ := f.lbmedic(t.Context(), "status")
			return strings.Count(out, "  up  ") == 2 && strings.Contains(out, "deploy")
		})
		f.expect(exitDone, "automation has nothing out", "release", "--all")
		f.expect(exitDone, "outcome  enable-health edge/web/s0: done", "events")
	})
}

// takeAndDie takes a server out as automation does, and leaves only the journal behind.
func (f *farm) takeAndDie(server string) {
	f.t.Helper()
	cfg := f.load()
	book, err := (&app{stderr: f.t.Output()}).openBook(cfg.State)
	if err != nil {
		f.t.Fatal(err)
	}
	b := daemon.NewBalancer(cfg.Balancers[0])
	seen, err := b.Observe(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	a := remediate.Action{Verb: remediate.ForceDown, Reason: remediate.SidecarFails, Target: remediate.Target{Balancer: "edge", Backend: "web", Server: server}}
	seq, err := book.Append(remediate.KindIntent, remediate.IntentRecord{Action: a, Generation: seen.Generation})
	if err != nil {
		f.t.Fatal(err)
	}
	result, detail := b.Act(f.t.Context(), seen.Generation, a)
	if result != remediate.Done {
		f.t.Fatalf("%s: %s", result, detail)
	}
	if _, err := book.Append(remediate.KindOutcome, remediate.OutcomeRecord{Intent: seq, Target: a.Target, Verb: a.Verb, Result: result}); err != nil {
		f.t.Fatal(err)
	}
	if err := book.Close(); err != nil {
		f.t.Fatal(err)
	}
}

func TestSocketFindsTheDaemonWhateverTheConfigurationIs(t *testing.T) {
	f := newFarm(t, peertest.One(t, "haproxy"))
	socket := f.load().Admin.Socket
	f.config = filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(f.config, []byte("balancers: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"freeze", "--reason", "storm"}, {"status"}, {"events"}, {"events", "-n", "1"}, {"thaw"}, {"drain", "web/s0"}, {"ready", "web/s0"}, {"release", "--all"}} {
		f.expect(exitLocal, "--socket names the daemon directly", args...)
		f.expect(exitDone, "", append(args, "--socket", socket)...)
	}
}

func TestFollowingFromNowOnPrintsNothingOld(t *testing.T) {
	f := newFarm(t, peertest.One(t, "haproxy"))
	f.expect(exitDone, "", "freeze", "--reason", "old news")
	ctx, stop := context.WithCancelCause(t.Context())
	var out synced
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--config", f.config, "events", "-f", "-n", "0"}, strings.NewReader(""), &out, &out)
	}()
	f.until("the news", func() bool {
		f.expect(exitDone, "", "freeze", "--reason", "news of today")
		return strings.Contains(out.String(), "news of today")
	})
	stop(stoppedBy{syscall.SIGINT})
	if code := <-ended; code != 130 || strings.Contains(out.String(), "old news") {
		t.Errorf("status %d\n%s", code, out.String())
	}
}

// synced is a buffer that is read while it is written.
type synced struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *synced) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }

func (s *synced) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }
