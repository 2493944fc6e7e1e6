package control

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

// stage is a real HAProxy with real apps, real sidecar answers, and a controller beside it.
type stage struct {
	t        *testing.T
	haproxy  *peer.HAProxy
	runtime  *runtime.Client
	front    string
	apps     []*app
	sidecars []*fakeSidecar
	ctl      *Controller
	book     *Book
	state    string
	stop     func()
}

type app struct {
	server *httptest.Server
	hits   atomic.Int64
}

// fakeSidecar answers as a sidecar does, with the verdict it is told. The real one is tried in integration.
type fakeSidecar struct {
	server  *httptest.Server
	verdict atomic.Value // string
	wake    chan struct{}
	n       atomic.Int64
}

func newFakeSidecar(t *testing.T) *fakeSidecar {
	f := &fakeSidecar{wake: make(chan struct{}, 1)}
	f.verdict.Store("pass")
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if after := r.URL.Query().Get("after"); after == fmt.Sprintf("fake-%d", f.n.Load()) {
			select {
			case <-f.wake:
			case <-r.Context().Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
		v := f.verdict.Load().(string)
		w.Header().Set("Lbmedic-Generation", fmt.Sprintf("fake-%d", f.n.Load()))
		w.Header().Set("Content-Type", "application/health+json")
		if v == "fail" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, `{"status":%q,"serviceId":"web","output":"told so","checks":{}}`, v)
	}))
	t.Cleanup(f.server.Close)
	t.Cleanup(f.server.CloseClientConnections)
	return f
}

func (f *fakeSidecar) say(verdict string) {
	f.verdict.Store(verdict)
	f.n.Add(1)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func newStage(t *testing.T, prog peer.Program, policy remediate.Policy) *stage {
	t.Helper()
	dir := peertest.Dir(t)
	s := &stage{t: t, front: fmt.Sprintf("127.0.0.1:%d", peertest.Port(t)), state: peertest.Dir(t)}
	var lines strings.Builder
	for i := range 3 {
		a := &app{}
		a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.hits.Add(1)
			fmt.Fprintf(w, "app %d", i)
		}))
		t.Cleanup(a.server.Close)
		s.apps = append(s.apps, a)
		f := newFakeSidecar(t)
		s.sidecars = append(s.sidecars, f)
		_, port, _ := net.SplitHostPort(f.server.Listener.Addr().String())
		fmt.Fprintf(&lines, "    server s%d %s check port %s inter 100ms rise 1 fall 2\n", i, a.server.Listener.Addr(), port)
	}
	config := peer.HAProxyGlobal(dir) + "defaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n    timeout connect 1s\n    timeout check 2s\n" +
		"frontend f\n    bind " + s.front + "\n    default_backend web\nbackend web\n    balance roundrobin\n" + lines.String()
	s.haproxy = peertest.HAProxy(t, prog, dir, config)
	s.runtime = runtime.New(runtime.Settings{Address: s.haproxy.Socket})
	s.start(policy)
	t.Cleanup(func() { s.stop() })
	return s
}

// start begins a controller on the stage's state directory, as a restart of lbmedic does.
func (s *stage) start(policy remediate.Policy) {
	s.t.Helper()
	j, recovered, err := journal.Open(s.state, journal.Settings{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.book, err = NewBook(j, recovered)
	if err != nil {
		s.t.Fatal(err)
	}
	sidecars := NewSidecars(client.New(client.Settings{}))
	b := &HAProxy{
		Client: s.runtime,
		Master: runtime.NewMaster(runtime.Settings{Address: s.haproxy.Master}),
		Load: func() (*haproxy.Model, error) {
			files, _ := haproxy.Load("", s.haproxy.Config)
			m, _ := files.Model(haproxy.Host{})
			return &m, nil
		},
		Sidecar: func(_, _, server, _ string) string {
			return s.sidecars[server[1]-'0'].server.URL + "/health"
		},
	}
	s.ctl = New(Settings{Name: "edge", Policy: func(time.Time) remediate.Policy { return policy }, Interval: 50 * time.Millisecond}, b, s.book, sidecars, zaptest.NewLogger(s.t))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.ctl.Run(ctx) }()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		sidecars.Close()
		if err := s.book.Close(); err != nil {
			s.t.Error(err)
		}
		s.stop = func() {}
	}
}

// row is one server as HAProxy itself reports it.
func (s *stage) row(server string) runtime.ServerState {
	s.t.Helper()
	var out runtime.ServerState
	if _, err := s.runtime.ServersState(s.t.Context(), "web", func(r *runtime.ServerState) error {
		if r.Server == server {
			out = *r
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// until waits for a condition, and says what it waited for when that does not come.
func (s *stage) until(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			s.t.Fatalf("never: %s; s0 %+v; status %+v", what, s.row("s0"), s.ctl.Status())
		case <-tick.C:
		}
	}
}

// reload has a new worker take over. A signal that comes too soon after the start, or after another, is lost, so it is
// sent again until the controller has seen a new worker.
func (s *stage) reload() {
	s.t.Helper()
	pid := s.ctl.Status().Generation.PID
	var sent time.Time
	s.until("a new worker", func() bool {
		if time.Since(sent) > 1500*time.Millisecond {
			sent = time.Now()
			if err := s.haproxy.Reload(); err != nil {
				s.t.Fatal(err)
			}
		}
		return s.ctl.Status().Generation.PID != pid
	})
}

func (s *stage) down(server string) func() bool {
	return func() bool { r := s.row(server); return r.Op == runtime.OpStopped && r.Admin == 0 }
}

func (s *stage) up(server string) func() bool {
	return func() bool {
		r := s.row(server)
		return r.Op == runtime.OpRunning && r.Admin == 0 && r.Check.Has(runtime.CheckEnabled)
	}
}

func enforce() remediate.Policy {
	p := remediate.DefaultPolicy()
	p.Mode = remediate.Enforce
	p.HoldDown = 0
	return p
}

func TestAFailingSidecarTakesItsServerOutAndAPassingOneReturnsIt(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		s := newStage(t, prog, enforce())
		s.until("all up", func() bool { return s.up("s0")() && s.up("s1")() && s.up("s2")() })
		s.sidecars[0].say("fail")
		s.until("s0 out, with a clean admin state", s.down("s0"))
		s.sidecars[1].say("fail")
		s.until("the second is held at the limit", func() bool {
			st := s.ctl.Status()
			return len(st.Servers) == 3 && strings.Contains(st.Servers[1].Would, "hold force-down: correlated-failure")
		})
		if !s.up("s1")() {
			t.Error("s1 was taken below the floor")
		}
		s.sidecars[1].say("pass")
		s.sidecars[0].say("pass")
		s.until("s0 back by its own rise", s.up("s0"))
	})
}

func TestObserveModeExplainsAndNeverActs(t *testing.T) {
	s := newStage(t, peertest.One(t, "haproxy"), remediate.DefaultPolicy())
	s.sidecars[0].say("fail")
	s.until("it says what it would do", func() bool {
		st := s.ctl.Status()
		return len(st.Servers) == 3 && strings.HasPrefix(st.Servers[0].Would, "hold force-down: observe-mode")
	})
	if len(s.book.Ledger().Takes) != 0 {
		t.Error("a take was journaled")
	}
}

func TestAnOrderSurvivesAReloadAndARestart(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		s := newStage(t, prog, remediate.DefaultPolicy())
		s.until("the first look", func() bool { return len(s.ctl.Status().Servers) == 3 })
		if err := s.ctl.Do(t.Context(), Order{Backend: "web", Server: "s0", Want: remediate.Drain, By: "alice", Reason: "deploy"}); err != nil {
			t.Fatal(err)
		}
		drained := func() bool { return s.row("s0").Admin.Has(runtime.ForcedDrain) }
		if !drained() {
			t.Fatal("not drained when the order returned")
		}
		s.reload()
		s.until("drained again in the new worker", drained)
		s.stop()
		s.start(remediate.DefaultPolicy())
		s.until("the order is remembered", func() bool {
			st := s.ctl.Status()
			return len(st.Servers) == 3 && st.Servers[0].SetBy == "alice" && st.Servers[0].Why == "deploy"
		})
		if err := s.ctl.Do(t.Context(), Order{Backend: "web", Server: "s0", Want: remediate.Ready, By: "alice"}); err != nil {
			t.Fatal(err)
		}
		if !s.up("s0")() || len(s.book.Ledger().Orders) != 0 {
			t.Errorf("after ready: %+v, orders %v", s.row("s0"), s.book.Ledger().Orders)
		}
	})
}

func TestATakeIsAppliedAgainAfterAReloadAndAfterARestart(t *testing.T) {
	s := newStage(t, peertest.One(t, "haproxy"), enforce())
	s.until("the first look", func() bool { return len(s.ctl.Status().Servers) == 3 })
	s.sidecars[0].say("fail")
	s.until("s0 out", s.down("s0"))
	s.reload()
	s.until("s0 out in the new worker", s.down("s0"))
	s.stop()
	s.start(enforce())
	s.sidecars[0].say("pass")
	s.until("a restarted lbmedic returns its own take", s.up("s0"))
}

func TestAHandAtTheSocketIsTheLastWord(t *testing.T) {
	peertest.Each(t, "haproxy", handAtTheSocket)
}

func handAtTheSocket(t *testing.T, prog peer.Program) {
	s := newStage(t, prog, enforce())
	s.until("the first look", func() bool { return len(s.ctl.Status().Servers) == 3 })
	s.sidecars[0].say("fail")
	s.until("s0 out", s.down("s0"))
	if _, err := s.runtime.Apply(t.Context(), runtime.Generation{}, runtime.SetHealth("web", "s0", runtime.Up)); err != nil {
		t.Fatal(err)
	}
	s.until("its check is on again and automation keeps away", func() bool {
		return s.up("s0")() && strings.Contains(s.ctl.Status().Servers[0].Would, "operator-override")
	})
}

// A journal can be lost while a server is out by forced health. Nobody owns that then; an operator's ready undoes it.
func TestReadyUndoesForcedHealthThatNobodyOwns(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		s := newStage(t, prog, enforce())
		s.until("the first look", func() bool { return len(s.ctl.Status().Servers) == 3 })
		if _, err := s.runtime.Settle(t.Context(), runtime.Generation{}, runtime.Force("web", "s0")...); err != nil {
			t.Fatal(err)
		}
		s.until("it says what is the matter", func() bool {
			return strings.Contains(s.ctl.Status().Servers[0].Would, "check-off")
		})
		if err := s.ctl.Do(t.Context(), Order{Backend: "web", Server: "s0", Want: remediate.Ready, By: "alice"}); err != nil {
			t.Fatal(err)
		}
		s.until("s0 back, with its check on", s.up("s0"))
	})
}

func TestAnOrderBelowTheFloorIsRefusedUnlessForced(t *testing.T) {
	s := newStage(t, peertest.One(t, "haproxy"), remediate.DefaultPolicy())
	s.until("the first look", func() bool { return len(s.ctl.Status().Servers) == 3 })
	order := func(server string, force bool) error {
		return s.ctl.Do(t.Context(), Order{Backend: "web", Server: server, Want: remediate.Maint, By: "alice", Force: force})
	}
	if err := order("s0", false); err != nil {
		t.Fatal(err)
	}
	if err := order("s1", false); err == nil || !strings.Contains(err.Error(), "capacity-floor") {
		t.Errorf("got %v", err)
	}
	if err := order("s1", true); err != nil {
		t.Error(err)
	}
	if err := order("s9", false); err == nil || !strings.Contains(err.Error(), "unknown-server") {
		t.Errorf("got %v", err)
	}
}
