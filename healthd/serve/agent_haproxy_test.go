package serve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// worth is a sidecar whose service is worth what the test says, before a real HAProxy that sends its state with its checks.
type worth struct {
	balancer
	source *turned
	views  *Views
}

// turned is a source whose service the test changes while it is served.
type turned struct {
	mu    sync.Mutex
	s     *healthd.Snapshot
	moved chan struct{}
}

func (s *turned) Latest() *healthd.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.s
}

func (s *turned) Wait(ctx context.Context, after uint64) (*healthd.Snapshot, error) {
	<-ctx.Done()
	return s.Latest(), ctx.Err()
}

func (s *turned) Say(string, netip.Addr, string) (healthd.AdminState, bool, error) {
	return healthd.Ready, false, nil
}

func (s *turned) Heard(string, netip.Addr, string) error { return nil }

func (s *turned) Offer(string, netip.Addr, string) bool { return false }

func (w *worth) is(weight int, admin healthd.AdminState) {
	w.source.mu.Lock()
	defer w.source.mu.Unlock()
	w.source.s = &healthd.Snapshot{Instance: "a", Generation: w.source.s.Generation + 1, Services: []healthd.Service{{Name: "web", Status: healthd.Pass, Weight: weight,
		Admin: healthd.Admin{State: admin, Since: time.Now()}}}}
}

func newWorth(t *testing.T, prog peer.Program, backend, server string, slow time.Duration) *worth {
	t.Helper()
	w := &worth{source: &turned{s: &healthd.Snapshot{}}, views: NewViews([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})}
	w.is(100, healthd.Ready)
	weights, err := probe.NewWeights(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var ports [2]net.Listener
	for i := range ports {
		if ports[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	until(t, func(ctx context.Context) error {
		return NewHTTP(HTTPSettings{Source: w.source, Views: w.views}).Run(ctx, ports[0])
	})
	until(t, func(ctx context.Context) error {
		return NewAgent(AgentSettings{Source: w.source, Orders: w.source, Service: "web", Weights: weights, Views: w.views, Drain: DrainByWeight, SlowStart: slow}).
			Run(ctx, func() (net.Listener, error) { return ports[1], nil })
	})
	port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
	w.balancer = startBalancer(t, prog, "    option httpchk GET /health/web\n    http-check send-state\n"+backend,
		fmt.Sprintf("%s check addr 127.0.0.1 port %d inter 100ms agent-check agent-addr 127.0.0.1 agent-port %d agent-inter 50ms", server, port(ports[0]), port(ports[1])))
	return w
}

// weighs waits until HAProxy has that weight.
func (w *worth) weighs(want string) {
	w.t.Helper()
	waitForIt(w.t, "weight "+want, func() string { return w.column("weight") }, func(got string) bool { return got == want })
}

func waitForIt(t *testing.T, what string, look func() string, ok func(string) bool) {
	t.Helper()
	last := ""
	defer func() {
		if t.Failed() {
			t.Logf("waited for %s, saw %s", what, last)
		}
	}()
	waitFor(t, func() bool { last = look(); return ok(last) })
}

// known waits until the balancer's checks have told its initial weight.
func (w *worth) known() {
	w.t.Helper()
	waitFor(w.t, func() bool { all := w.views.All(); return len(all) == 1 && all[0].Steps() && all[0].Interval > 0 })
}

func TestHAProxyTakesTheWeightOfASlowService(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		w := newWorth(t, prog, "", "weight 100", 0)
		w.known()
		if v := w.views.All()[0]; v.Name != "web/w1" || v.Service != "web" || v.State != "UP" || v.Weight != 100 || v.Presence(time.Now()) != Present {
			t.Errorf("HAProxy is seen as %+v", v)
		}
		w.is(50, healthd.Ready)
		w.weighs("50")
		w.command("set server web/w1 state drain") // an operator's, which no weight touches
		w.becomes("DRAIN")
		w.is(25, healthd.Ready)
		w.weighs("25")
		w.balancer.is("drained by an operator", "DRAIN")
		w.is(100, healthd.Ready)
		w.weighs("100")
		w.balancer.is("back at its weight", "DRAIN")
		w.command("set server web/w1 state ready")
		w.becomes("UP")
		w.command("set weight web/w1 30") // while 100% is owed it is ours
		w.weighs("100")
		begun := time.Now()
		for !w.keeps("30") && time.Since(begun) < 6*healthd.ReturnFor {
		}
		if since := time.Since(begun); since < healthd.ReturnFor/2 || since > 5*healthd.ReturnFor {
			t.Errorf("an operator's weight stands from %s on", since)
		}
		w.is(50, healthd.Ready) // slow again: ours once more
		w.weighs("50")
	})
}

// keeps sets a weight as an operator does and reports whether it outlives ten answers of the agent.
func (w *worth) keeps(weight string) bool {
	w.t.Helper()
	w.command("set weight web/w1 " + weight)
	return w.keepsFor(500*time.Millisecond, func() bool { return w.column("weight") == weight })
}

// A percentage of a small weight would be weight 0, and of one that HAProxy does not tell nobody knows.
func TestHAProxyIsToldNoWeightWhereItIsNoStep(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		for name, server := range map[string]string{"the default weight": "", "weight 9": "weight 9"} {
			w := newWorth(t, prog, "", server, 0)
			waitFor(t, func() bool { return len(w.views.All()) == 1 })
			weight := w.column("weight")
			w.is(50, healthd.Ready)
			w.stays(name, "UP", 500*time.Millisecond)
			if got := w.column("weight"); got != weight {
				t.Errorf("%s: %s became %s", name, weight, got)
			}
		}
	})
}

// An operator who set a weight of 50 over an initial one of 1 makes us believe in steps: what comes of it is weight 0, which is seen and undone.
func TestAWeightThatBecomesZeroIsGivenBack(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		w := newWorth(t, prog, "", "", 0)
		w.command("set weight web/w1 50")
		w.known()
		w.is(50, healthd.Ready)
		w.weighs("0")
		w.weighs("1")
		w.stays("given back", "UP", 300*time.Millisecond)
		if got := w.column("weight"); got != "1" || !w.views.All()[0].Coarse {
			t.Errorf("weight %s, %+v", got, w.views.All())
		}
	})
}

// What an operator sets while we drain by weight stands, and so it does after: "drain" and "ready" would end it.
func TestAnOperatorsStateOutlivesADrainByWeight(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		for _, balance := range []string{"roundrobin", "source"} { // any weight between is passed over by a hash
			// Its checks ask what a drain does not change.
			w := newWorth(t, prog, "    option httpchk GET /livez\n    balance "+balance+"\n", "weight 100", 0)
			for _, state := range []string{"drain", "maint"} {
				w.is(100, healthd.Drain)
				w.weighs("0")
				w.command("set server web/w1 state " + state)
				w.becomes(strings.ToUpper(state))
				w.stays("while we drain", strings.ToUpper(state), 300*time.Millisecond)
				w.is(100, healthd.Ready)
				waitFor(t, func() bool { return strings.Contains(w.command("show servers state web"), " 100 100 ") })
				w.stays("after our drain", strings.ToUpper(state), 300*time.Millisecond)
				w.command("set server web/w1 state ready")
				w.becomes("UP")
			}
		}
	})
}

// The drain is over in steps, HAProxy's own slowstart goes on under ours, and a reload forgets nothing that is not told again.
func TestHAProxyStartsSlowly(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		w := newWorth(t, prog, "", "weight 100 slowstart 1s", 3*time.Second)
		w.known()
		w.weighs("100")
		w.is(100, healthd.Drain)
		w.weighs("0")
		w.is(100, healthd.Ready)
		steps := w.until100()
		if at := strings.Index("0 25 50 75 100", steps); at < 0 || len(steps) < len("50 75 100") { // a busy machine may miss the first
			t.Errorf("the weight went %s", steps)
		}
		w.is(50, healthd.Ready)
		w.weighs("50")
		pid := w.pid()
		waitFor(t, func() bool { // a signal right after the start is lost
			if err := w.Reload(); err != nil {
				t.Fatal(err)
			}
			return !w.keepsFor(1500*time.Millisecond, func() bool { now := w.pid(); return now == "" || now == pid })
		})
		w.weighs("50")
	})
}

// until100 are the weights that HAProxy has one after the other until it has all of it.
func (w *worth) until100() string {
	w.t.Helper()
	var steps []string
	waitFor(w.t, func() bool {
		now := w.column("weight")
		if len(steps) == 0 || steps[len(steps)-1] != now {
			steps = append(steps, now)
		}
		return now == "100"
	})
	return strings.Join(steps, " ")
}

// pid is the worker that answers.
func (w *worth) pid() string {
	for line := range strings.Lines(w.command("show info")) {
		if pid, ok := strings.CutPrefix(line, "Pid: "); ok {
			return strings.TrimSpace(pid)
		}
	}
	return ""
}

func (w *worth) keepsFor(d time.Duration, ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if !ok() {
			return false
		}
	}
	return true
}
