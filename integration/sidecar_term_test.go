package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// newDuckSite is two apps, each beside a sidecar that HAProxy checks with `http-check send-state`, so that the sidecar knows who is there.
func newDuckSite(t *testing.T, prog peer.Program, more string) (*site, *unit) {
	t.Helper()
	s := &site{t: t, prog: prog, dir: peertest.Dir(t), net: network()}
	s.front = s.net + "100:8000"
	s.apps = []*app{newApp(t, "s0", s.address(0)+":8080"), newApp(t, "s1", s.address(1)+":8080")}
	var units []*unit
	for i := range s.apps {
		m := newMedic(t, s.dir, fmt.Sprintf("side%d", i), fmt.Sprintf(`health:
  http: %[1]s:7780
  agent: off
  balancers: [127.0.0.0/8]
%[2]s
  services:
    web:
      address: %[1]s:8080
      checks:
        app: {http: "http://%[1]s:8080/healthz", interval: 500ms}
`, s.address(i), more))
		units = append(units, unitOf(t, m, true).start())
	}
	s.haproxy = peertest.HAProxy(t, prog, s.dir, peer.HAProxyGlobal(s.dir)+fmt.Sprintf(`defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
frontend users
    bind %[1]s
    default_backend web
backend web
    option httpchk GET /health/web
    http-check send-state
    server s0 %[2]s:8080 check port 7780 inter 300ms
    server s1 %[3]s:8080 check port 7780 inter 300ms
`, s.front, s.address(0), s.address(1)))
	s.started, s.ha = time.Now(), hasocket(s.haproxy.Socket)
	until(t, "HAProxy has checked both", func() bool {
		return s.ha.server("s0").up() && s.ha.server("s1").up() && strings.Contains(s.ha.say("show stat"), "L7OK")
	})
	return s, units[0]
}

// code is the status at a path of the first sidecar; 0 where it does not answer.
func (s *site) code(path string) int {
	res, err := (&http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + s.address(0) + ":7780" + path)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // its end matters to nobody
	return res.StatusCode
}

// SIGTERM makes a lame duck: readiness fails, liveness does not, the balancer leaves by its own rise and fall, what it still has here ends in
// peace, and then the process ends, for it sees that all have left.
func TestSIGTERMWaitsUntilTheBalancerHasLeft(t *testing.T) {
	t.Parallel()
	eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s, u := newDuckSite(t, prog, "  term_timeout: 25s")
		users := s.load()
		slow := s.hold(s.apps[0])
		begun := time.Now()
		if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		until(t, "readiness fails", func() bool { return s.code("/readyz") == 503 })
		for path, want := range map[string]int{"/livez": 200, "/health/web": 503, "/health/web?drain=404": 404} {
			if got := s.code(path); got != want {
				t.Errorf("%s answers %d, want %d", path, got, want)
			}
		}
		until(t, "HAProxy has left s0", func() bool { return s.ha.server("s0").Status == "DOWN" })
		left := time.Since(begun)
		// HAProxy has the server down, but not every session has ended.
		stays(t, "the sidecar waits for the request in flight", 3*time.Second, func() bool { return s.code("/livez") == 200 })
		if !u.said("STOPPING=1") || !u.said("EXTEND_TIMEOUT_USEC=") {
			t.Errorf("systemd heard %q", u.states)
		}
		s.apps[0].release <- struct{}{}
		if status := <-slow; status != http.StatusOK {
			t.Errorf("the request in flight ended with %d", status)
		}
		released := time.Now()
		<-u.ended
		t.Logf("HAProxy left after %s; the process ended %s after the last request", left.Round(time.Millisecond), time.Since(released).Round(time.Millisecond))
		if took := time.Since(released); took > 5*time.Second {
			t.Errorf("it ended %s after the last request, though HAProxy said that nobody is there", took)
		}
		if code := u.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("it ended with %d", code)
		}
		users.end()
		if n := users.lost.Load() + users.errors.Load(); n > 0 {
			t.Errorf("%d of %d requests were lost, the last: %v", n, users.asked.Load(), users.last.Load())
		}
		// The next start is no drain any more.
		u.start()
		until(t, "s0 is back", func() bool { return s.ha.server("s0").up() })
	})
}

// What never leaves does not keep the process for longer than it may take, nor does it keep whoever is in a hurry.
func TestSIGTERMEndsInTimeAndASecondOneAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit  string
		second syscall.Signal
		least  time.Duration
		most   time.Duration
	}{
		"the time is over": {limit: "4s", least: 4 * time.Second, most: 8 * time.Second},
		"a second SIGTERM": {limit: "60s", second: syscall.SIGTERM, most: 3 * time.Second},
		"a SIGINT after":   {limit: "60s", second: syscall.SIGINT, most: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
				t.Parallel()
				s, u := newDuckSite(t, prog, "  term_timeout: "+c.limit)
				slow := s.hold(s.apps[0])
				begun := time.Now()
				if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				until(t, "readiness fails", func() bool { return s.code("/readyz") == 503 })
				if c.second != 0 {
					begun = time.Now()
					if err := u.cmd.Process.Signal(c.second); err != nil {
						t.Fatal(err)
					}
				}
				<-u.ended
				if took := time.Since(begun); took < c.least || took > c.most {
					t.Errorf("it ended after %s", took)
				}
				if conn, err := net.Dial("tcp", s.address(0)+":8080"); err != nil {
					t.Errorf("the app is not ours to end: %v", err)
				} else {
					conn.Close()
				}
				s.apps[0].release <- struct{}{}
				if status := <-slow; status != http.StatusOK {
					t.Errorf("the request in flight ended with %d", status)
				}
			})
		})
	}
}
