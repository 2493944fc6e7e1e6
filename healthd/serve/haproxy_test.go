package serve

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// sidecar is one lbmedic beside an app, on fixed ports so that it can be restarted.
type sidecar struct {
	t           *testing.T
	dir         string
	ip          string // a loopback address of its own: while it is stopped, nobody else takes its ports
	http, agent int
	board       *probe.Board
	asked       atomic.Int64 // agent-checks answered, over all runs
	stop        func()
}

// Say counts on the way to the board.
func (s *sidecar) Say(service string, balancer netip.Addr, row string) (healthd.AdminState, bool, error) {
	defer s.asked.Add(1)
	return s.board.Say(service, balancer, row)
}

func (s *sidecar) Heard(service string, balancer netip.Addr, row string) error {
	return s.board.Heard(service, balancer, row)
}

func (s *sidecar) Offer(service string, balancer netip.Addr, row string) bool {
	return s.board.Offer(service, balancer, row)
}

func newSidecar(t *testing.T) *sidecar {
	ip := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	s := &sidecar{t: t, dir: t.TempDir(), ip: ip, http: peertest.Port(t), agent: peertest.Port(t), stop: func() {}}
	t.Cleanup(func() { s.stop() })
	return s
}

// start runs the board and both listeners until stop. Nothing is measured but by tell.
func (s *sidecar) start() {
	s.t.Helper()
	var err error
	s.board, err = probe.NewBoard(probe.Settings{Dir: s.dir, Problem: func(err error) { s.t.Errorf("problem: %v", err) },
		Services: []probe.Service{{Name: "web", Checks: []probe.Check{{Name: "app", Kind: "http"}}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", s.ip, s.http))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	run := func(part func(context.Context) error) {
		parts.Go(func() {
			if err := part(ctx); err != nil {
				s.t.Errorf("ended with %v", err)
			}
		})
	}
	run(s.board.Run)
	run(func(ctx context.Context) error { return NewHTTP(HTTPSettings{Source: s.board}).Run(ctx, l) })
	run(func(ctx context.Context) error {
		return NewAgent(AgentSettings{Source: s.board, Orders: s, Service: "web"}).Run(ctx, func() (net.Listener, error) {
			return net.Listen("tcp", fmt.Sprintf("%s:%d", s.ip, s.agent))
		})
	})
	s.stop = func() {
		cancel()
		parts.Wait()
		s.stop = func() {}
	}
}

func (s *sidecar) tell(class healthd.Class, times int) { report(s.board, "web/app", class, times) }

func (s *sidecar) order(state healthd.AdminState) {
	s.t.Helper()
	order(s.t, s.board, "web", state, "test")
}

// heard waits until the balancer has asked n times more.
func (s *sidecar) heard(n int64) {
	s.t.Helper()
	until := s.asked.Load() + n
	waitFor(s.t, func() bool { return s.asked.Load() >= until })
}

// balancer is a real HAProxy with the one server web/w1.
type balancer struct {
	t *testing.T
	*peer.HAProxy
}

func startBalancer(t *testing.T, prog peer.Program, backend, server string) balancer {
	t.Helper()
	app, err := net.Listen("tcp", "127.0.0.1:0") // alive as far as a connection goes; the kernel answers for it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Close() })
	dir := peertest.Dir(t)
	return balancer{t, peertest.HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+
		"defaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n    timeout connect 1s\n    timeout check 2s\n"+
		"backend web\n"+backend+"    server w1 "+app.Addr().String()+" "+server+"\n")}
}

func (b balancer) command(line string) string {
	b.t.Helper()
	c, err := net.Dial("unix", b.Socket)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		b.t.Fatal(err)
	}
	reply, err := io.ReadAll(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(reply)
}

func (b balancer) status() string { b.t.Helper(); return b.column("status") }

// column is one value of web/w1 in show stat.
func (b balancer) column(name string) string {
	b.t.Helper()
	return b.columns(name)[0]
}

// columns are the values of w1 in all backends, one at least.
func (b balancer) columns(name string) (values []string) {
	b.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(b.command("show stat"), "# ")))).ReadAll()
	if err != nil {
		b.t.Fatal(err)
	}
	column := map[string]int{}
	for i, title := range rows[0] {
		column[title] = i
	}
	for _, row := range rows[1:] {
		if row[column["svname"]] == "w1" {
			values = append(values, row[column[name]])
		}
	}
	if len(values) == 0 {
		b.t.Fatal("show stat has no row of w1")
	}
	return values
}

// becomes waits until the status begins so: an agent's part, as in "DOWN (agent)", is shown by some states and versions and not by others.
func (b balancer) becomes(want string) {
	b.t.Helper()
	last := ""
	defer func() {
		if b.t.Failed() {
			b.t.Logf("waited for %s, saw %s", want, last)
		}
	}()
	waitFor(b.t, func() bool { last = b.status(); return strings.HasPrefix(last, want) })
}

func (b balancer) is(when, want string) {
	b.t.Helper()
	if got := b.status(); !strings.HasPrefix(got, want) {
		b.t.Errorf("%s: %s, want %s", when, got, want)
	}
}

// stays looks again and again for a while.
func (b balancer) stays(when, want string, d time.Duration) {
	b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(d); ; {
		b.is(when, want)
		select {
		case <-end:
			return
		case <-tick.C:
		}
	}
}

func withAgent(t *testing.T, prog peer.Program) (*sidecar, balancer) {
	s := newSidecar(t)
	return s, startBalancer(t, prog, "", fmt.Sprintf("check inter 100ms agent-check agent-addr %s agent-port %d agent-inter 50ms agent-send web\\n", s.ip, s.agent))
}

func TestHAProxyFollowsTheAgent(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s, b := withAgent(t, prog)
		s.start()
		s.tell(healthd.OK, 1)
		b.becomes("UP")
		s.tell(healthd.Refused, 3)
		b.becomes("DOWN (agent)")
		s.tell(healthd.OK, 2)
		b.becomes("UP")
		s.order(healthd.Drain)
		b.becomes("DRAIN")
		s.order(healthd.Ready)
		b.becomes("UP")
		s.order(healthd.Maint)
		b.becomes("MAINT")
		s.order(healthd.Drain)
		b.becomes("DRAIN")
		s.order(healthd.Ready)
		b.becomes("UP")
		s.order(healthd.Drain)
		b.becomes("DRAIN")
		s.tell(healthd.Refused, 3)
		s.order(healthd.Ready) // returns to what it is worth
		b.becomes("DOWN (agent)")
		s.tell(healthd.OK, 2)
		b.becomes("UP")
	})
}

// One HAProxy lists the app in several backends: each asks for itself, all from one address, and each must hear that the drain is over.
func TestEveryBackendOfABalancerReturns(t *testing.T) {
	const backends = 5
	prog := peertest.One(t, "haproxy")
	s := newSidecar(t)
	s.start()
	s.tell(healthd.OK, 1)
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	dir := peertest.Dir(t)
	config := peer.HAProxyGlobal(dir) + "defaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n    timeout connect 1s\n"
	for i := range backends {
		config += fmt.Sprintf("backend b%d\n    server w1 %s check inter 100ms agent-check agent-addr %s agent-port %d agent-inter 100ms\n", i, app.Addr(), s.ip, s.agent)
	}
	b := balancer{t, peertest.HAProxy(t, prog, dir, config)}
	all := func(want string) func() bool {
		return func() bool {
			states := b.columns("status")
			for _, state := range states {
				if !strings.HasPrefix(state, want) {
					return false
				}
			}
			return len(states) == backends
		}
	}
	for range 3 {
		waitFor(t, all("UP"))
		s.order(healthd.Drain)
		waitFor(t, all("DRAIN"))
		s.order(healthd.Ready)
	}
	waitFor(t, all("UP"))
}

// An operator's drain or maint on the socket is nobody's to cancel: not by an agent that passes, nor by one that restarts, nor by the end
// of an order of ours from before.
func TestOperatorsDrainIsNeverCancelled(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s, b := withAgent(t, prog)
		s.start()
		s.tell(healthd.OK, 1)
		b.becomes("UP")
		s.order(healthd.Drain)
		b.becomes("DRAIN")
		s.order(healthd.Ready)
		b.becomes("UP")
		b.stays("while ready is owed", "UP", healthd.ReturnFor)
		waitFor(t, func() bool {
			_, owed, err := s.board.Say("web", netip.MustParseAddr("127.0.0.1"), "")
			return !owed && err == nil
		})
		s.heard(2) // HAProxy makes one agent-check after the other: the last ready has been read
		for _, state := range []string{"drain", "maint"} {
			b.command("set server web/w1 state " + state)
			b.becomes(strings.ToUpper(state))
			s.heard(10)
			b.is("after 10 answers", strings.ToUpper(state))
			s.stop()
			s.start()
			s.tell(healthd.OK, 1)
			s.heard(10)
			b.is("after a restart", strings.ToUpper(state))
			s.tell(healthd.Refused, 3)
			s.heard(5)
			s.tell(healthd.OK, 2)
			s.heard(5)
			b.is("after failing and passing", strings.ToUpper(state))
			b.command("set server web/w1 state ready")
			b.becomes("UP")
		}
	})
}

// A restart of the sidecar changes nothing by itself, in whatever state it happens, and what it left standing it can still end.
func TestRestartTakesNoServerOutAndLeavesNoneBehind(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s, b := withAgent(t, prog)
		s.start()
		restart := func(state string, first healthd.Class) {
			t.Helper()
			b.becomes(state)
			s.stop()
			// With the port closed the checks of HAProxy go on; several rounds of them must change nothing.
			b.stays("while the sidecar is away", state, 400*time.Millisecond)
			s.start()
			b.is("before the first round", state)
			s.tell(first, 1)
			s.heard(5)
		}
		s.tell(healthd.OK, 1)
		restart("UP", healthd.OK)
		b.is("up, restarted", "UP")
		restart("UP", healthd.Refused) // one lost probe right after the start
		b.is("up, restarted into a lost probe", "UP")

		s.tell(healthd.Refused, 3)
		restart("DOWN (agent)", healthd.OK)
		b.is("down, restarted into a first pass", "DOWN (agent)") // rise is 2 over the restart too
		s.tell(healthd.OK, 1)
		b.becomes("UP")

		s.order(healthd.Drain)
		restart("DRAIN", healthd.OK)
		b.is("drained, restarted", "DRAIN")
		s.order(healthd.Ready)
		b.becomes("UP")

		s.order(healthd.Maint)
		restart("MAINT", healthd.OK)
		b.is("in maintenance, restarted", "MAINT")
		b.becomes("MAINT")
		s.stop() // the order ends while nobody can hear it
		s.start()
		s.order(healthd.Ready)
		s.stop()
		b.is("ready not yet heard", "MAINT")
		s.start()
		s.tell(healthd.OK, 1)
		b.becomes("UP")
	})
}

func TestHAProxyHttpchkFlipsTheServer(t *testing.T) {
	const inter, fall = 200 * time.Millisecond, 2
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSidecar(t)
		s.start()
		s.tell(healthd.OK, 1)
		b := startBalancer(t, prog, "    option httpchk GET /health/web?drain=404\n    http-check disable-on-404\n",
			fmt.Sprintf("check addr %s port %d inter %dms rise 2 fall %d", s.ip, s.http, inter.Milliseconds(), fall))
		full := fmt.Sprint(2 + fall - 1) // of check_health: at its start a server is one failed check from DOWN
		waitFor(t, func() bool { return b.column("check_health") == full })
		s.tell(healthd.Refused, 3)
		start := time.Now()
		b.becomes("DOWN")
		took := time.Since(start)
		t.Logf("%s: DOWN %s after the verdict, fall x inter is %s", prog.Name, took, fall*inter)
		if took < inter/2 {
			t.Errorf("DOWN after %s, before a second check can have failed", took)
		}
		if took > fall*inter+inter+400*time.Millisecond { // the check under way, and two cores for many tests
			t.Errorf("DOWN took %s", took)
		}
		s.tell(healthd.OK, 2)
		b.becomes("UP")
		s.tell(healthd.Degraded, 3)
		s.order(healthd.Drain)
		b.becomes("NOLB")
		s.order(healthd.Ready)
		b.becomes("UP")
		s.stop()
		s.start() // the last snapshot answers until the first round
		if svc, _ := s.board.Latest().Service("web"); !svc.Stale || svc.Status != healthd.Warn {
			t.Errorf("after the restart: %+v", svc)
		}
		b.stays("stale", "UP", 5*inter)
	})
}
