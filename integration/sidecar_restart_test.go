package integration

import (
	"encoding/csv"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// restarts is how often a sidecar is restarted in a test.
const restarts = 12

// The sidecar is what HAProxy checks. However lbmedic is restarted or upgraded, HAProxy sees no failure: no server changes its state and no
// request is lost, with HAProxy's default of one check each 2 s as with one each half a second, and by the agent-check too. Where
// systemd keeps the sockets nothing is ever refused; elsewhere the port is closed only for as long as a process takes to start.
func TestBalancersSeeNoFailureAcrossRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		keeps   bool
		by      []syscall.Signal
		upgrade bool
	}{
		"systemd keeps the sockets":               {keeps: true, by: []syscall.Signal{syscall.SIGTERM}},
		"systemd keeps the sockets, kill -9":      {keeps: true, by: []syscall.Signal{kill}},
		"systemd keeps the sockets, upgrades":     {keeps: true, by: []syscall.Signal{syscall.SIGTERM, kill}, upgrade: true},
		"nobody keeps the sockets":                {by: []syscall.Signal{syscall.SIGTERM}},
		"nobody keeps the sockets, kill -9":       {by: []syscall.Signal{kill}},
		"nobody keeps the sockets, with upgrades": {by: []syscall.Signal{syscall.SIGTERM, kill}, upgrade: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
				t.Parallel()
				s := newCheckedSite(t, prog)
				u := unitOf(t, s.medic, c.keeps).start()
				s.settles()
				users, gap := s.load(), s.knock()
				for i := range restarts {
					if c.upgrade {
						u.upgrade()
					}
					if !c.keeps { // three restarts one upon the other may well be three checks that fail
						untilWithin(t, 20*time.Second, "HAProxy's checks pass", s.well)
					}
					u.end(c.by[i%len(c.by)])
					u.start()
				}
				stays(t, "the servers are up", 3*time.Second, s.up)
				users.end()
				refused, longest := gap()
				t.Logf("%d restarts: %d of %d requests lost; a connection refused for %s at most (%d)",
					restarts, users.lost.Load(), users.asked.Load(), longest.Round(time.Millisecond), refused)
				if n := users.lost.Load() + users.errors.Load(); n > 0 {
					t.Errorf("%d of %d requests were lost, the last: %v", n, users.asked.Load(), users.last.Load())
				}
				if c.keeps && refused > 0 {
					t.Errorf("%d connections were refused although systemd keeps the socket, for up to %s", refused, longest)
				}
				for server, n := range s.turns() {
					if n > 0 {
						t.Errorf("HAProxy took %s out %d times", server, n)
					}
				}
			})
		})
	}
}

// checkedSite is an app beside a sidecar that a HAProxy checks in three ways.
type checkedSite struct {
	*site
	medic *medic
	stops []string // states that are no longer UP
}

func newCheckedSite(t *testing.T, prog peer.Program) *checkedSite {
	t.Helper()
	s := &site{t: t, prog: prog, dir: peertest.Dir(t), net: network()}
	s.front = s.net + "100:8000"
	s.apps = []*app{newApp(t, "s0", s.address(0)+":8080")}
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
    server s0 %[2]s:8080 check port 7780
backend quick
    option httpchk GET /health/web
    server s0 %[2]s:8080 check port 7780 inter 500ms
backend agent
    server s0 %[2]s:8080 agent-check agent-port 7781 agent-inter 500ms
`, s.front, s.address(0)))
	s.started, s.ha = time.Now(), hasocket(s.haproxy.Socket)
	a := s.address(0)
	c := &checkedSite{site: s}
	c.medic = newMedic(t, s.dir, "side", fmt.Sprintf(`health:
  http: %[1]s:7780
  agent: %[1]s:7781
  on_term: leave
  services:
    web:
      address: %[1]s:8080
      checks:
        app: {http: "http://%[1]s:8080/healthz", interval: 500ms}
`, a))
	return c
}

// settles waits for every server to be up by the sidecar's word. They are up at HAProxy's start, and fail while there is no sidecar.
func (c *checkedSite) settles() {
	c.t.Helper()
	untilWithin(c.t, 30*time.Second, "HAProxy has every server up", c.up)
	c.ha.must(c.t, "clear counters all")
}

// rows are the servers as `show stat` has them, by backend.
func (c *checkedSite) rows() map[string]map[string]string {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(c.ha.say("show stat"), "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil
	}
	out := map[string]map[string]string{}
	for _, row := range rows[1:] {
		if column(rows[0], row, "svname") != "s0" {
			continue
		}
		fields := map[string]string{}
		for i, name := range rows[0] {
			fields[name] = row[min(i, len(row)-1)]
		}
		out[fields["pxname"]] = fields
	}
	return out
}

func (c *checkedSite) up() bool {
	rows := c.rows()
	for _, row := range rows {
		if !strings.HasPrefix(row["status"], "UP") && row["status"] != "no check" || row["check_status"] == "INI" {
			return false
		}
	}
	return len(rows) == 3
}

// well reports whether no check failed lately: each counts rise + fall - 1 then, which is 4 by HAProxy's defaults.
func (c *checkedSite) well() bool {
	rows := c.rows()
	return rows["web"]["check_health"] == "4" && rows["quick"]["check_health"] == "4"
}

// turns counts how often each server went down.
func (c *checkedSite) turns() map[string]int {
	out := map[string]int{}
	for backend, row := range c.rows() {
		n, err := strconv.Atoi(row["chkdown"])
		if err != nil && row["chkdown"] != "" {
			c.t.Errorf("chkdown of %s is %q", backend, row["chkdown"])
		}
		out[backend] = n
	}
	return out
}

// knock connects to the sidecar every 2 ms until it is ended, and counts who was refused and for how long at a stretch.
func (c *checkedSite) knock() (end func() (refused int, longest time.Duration)) {
	stop, ended := make(chan struct{}), make(chan struct{})
	var refused atomic.Int64
	var longest time.Duration
	go func() {
		defer close(ended)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		var since time.Time
		for {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				conn, err := net.DialTimeout("tcp", c.address(0)+":7780", time.Second)
				if err == nil {
					conn.Close()
					since = time.Time{}
					continue
				}
				if refused.Add(1); since.IsZero() {
					since = now
				}
				longest = max(longest, time.Since(since))
			}
		}
	}()
	return func() (int, time.Duration) {
		close(stop)
		<-ended
		return int(refused.Load()), longest
	}
}
