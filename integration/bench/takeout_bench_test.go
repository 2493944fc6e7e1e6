package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

const (
	takeOutRounds = 15
	takeOutLimit  = 250 * time.Millisecond
)

// TestBenchTakeOut measures, over many failures of one app of three, the time from the check result that reaches fall to
// the first look at HAProxy that shows the server DOWN: a sidecar across the loopback, a controller beside HAProxy, the
// journal on disk.
func TestBenchTakeOut(t *testing.T) {
	asked(t)
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		s := newTakeOut(t, prog)
		var out, back []time.Duration
		for range takeOutRounds {
			out = append(out, s.fail())
			back = append(back, s.heal())
		}
		t.Logf("from the check result that reaches fall to HAProxy not routing: median %s, worst %s; back by its own rise of 1 at 100 ms: median %s (%d rounds)",
			median(out), worst(out), median(back), takeOutRounds)
		if m := median(out); m > takeOutLimit {
			t.Errorf("%s is over %s", m, takeOutLimit)
		}
	})
}

func worst(d []time.Duration) (w time.Duration) {
	for _, x := range d {
		w = max(w, x)
	}
	return w
}

// takeOut is one HAProxy with three servers, the first of which has a sidecar whose check results the benchmark makes.
type takeOut struct {
	t       *testing.T
	board   *probe.Board
	runtime *runtime.Client
}

func newTakeOut(t *testing.T, prog peer.Program) *takeOut {
	var servers strings.Builder
	for i := range 3 {
		app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(app.Close)
		fmt.Fprintf(&servers, "    server s%d %s check inter 100ms rise 1 fall 3\n", i, app.Listener.Addr())
	}
	dir := peertest.Dir(t)
	config := peer.HAProxyGlobal(dir) + "defaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n    timeout connect 1s\n    timeout check 2s\n" +
		"backend web\n" + servers.String()
	h := peertest.HAProxy(t, prog, dir, config)
	s := &takeOut{t: t, runtime: runtime.New(runtime.Settings{Address: h.Socket})}
	url := s.sidecar()
	s.control(h, url, filepath.Join(t.TempDir(), "state"))
	s.until(func(r *runtime.ServerState) bool { return r.Op == runtime.OpRunning })
	return s
}

func (s *takeOut) sidecar() (url string) {
	services := []probe.Service{{Name: "web", Checks: []probe.Check{{Name: "app", Kind: "http", Measurement: "responseTime", Rule: healthd.Rule{Rise: 1, Fall: 3}, Interval: time.Minute}}}}
	board, err := probe.NewBoard(probe.Settings{Services: services})
	if err != nil {
		s.t.Fatal(err)
	}
	s.board = board
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(board.Run)
	s.run(func(ctx context.Context) error { return serve.NewHTTP(serve.HTTPSettings{Source: board}).Run(ctx, l) })
	s.report(healthd.OK)
	return "http://" + l.Addr().String() + "/health/web"
}

func (s *takeOut) control(h *peer.HAProxy, url, state string) {
	j, recovered, err := journal.Open(state, journal.Settings{})
	if err != nil {
		s.t.Fatal(err)
	}
	book, err := control.NewBook(j, recovered)
	if err != nil {
		s.t.Fatal(err)
	}
	sidecars := control.NewSidecars(client.New(client.Settings{}))
	policy := remediate.DefaultPolicy()
	policy.Mode, policy.HoldDown, policy.TakesPerWindow, policy.FleetPerWindow = remediate.Enforce, 0, 1000, 1000
	b := &control.HAProxy{Client: s.runtime,
		Load: func() (*haproxy.Model, error) {
			files, _ := haproxy.Load("", h.Config)
			m, _ := files.Model(haproxy.Host{})
			return &m, nil
		},
		Sidecar: func(_, _, server, _ string) string {
			if server == "s0" {
				return url
			}
			return ""
		}}
	s.t.Cleanup(func() {
		sidecars.Close()
		if err := book.Close(); err != nil {
			s.t.Error(err)
		}
	})
	s.run(control.New(control.Settings{Name: "edge", Policy: func(time.Time) remediate.Policy { return policy }}, b, book, sidecars, zap.NewNop()).Run)
}

// run runs a part until the benchmark ends, before what was set up earlier goes.
func (s *takeOut) run(part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- part(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

func (s *takeOut) report(c healthd.Class) {
	s.board.Report("web", "app", healthd.NewOutcome(time.Now(), time.Millisecond, c, "told so"))
}

// fail reports three failures, and returns the time from the third to the first look that shows the server out.
func (s *takeOut) fail() time.Duration {
	s.report(healthd.WrongAnswer)
	s.report(healthd.WrongAnswer)
	begun := time.Now()
	s.report(healthd.WrongAnswer)
	return s.until(func(r *runtime.ServerState) bool { return r.Op == runtime.OpStopped }).Sub(begun)
}

func (s *takeOut) heal() time.Duration {
	begun := time.Now()
	s.report(healthd.OK)
	return s.until(func(r *runtime.ServerState) bool {
		return r.Op == runtime.OpRunning && r.Check.Has(runtime.CheckEnabled)
	}).Sub(begun)
}

// until looks at HAProxy again and again, and returns when a look that shows the state had ended.
func (s *takeOut) until(is func(*runtime.ServerState) bool) time.Time {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		held := false
		if _, err := s.runtime.ServersState(s.t.Context(), "web", func(r *runtime.ServerState) error {
			held = held || r.Server == "s0" && is(r)
			return nil
		}); err != nil {
			s.t.Fatal(err)
		}
		if held {
			return time.Now()
		}
	}
	s.t.Fatal("HAProxy never showed the state")
	return time.Time{}
}
