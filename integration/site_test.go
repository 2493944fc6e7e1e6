package integration

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// site is a small farm: a real HAProxy, three apps, a sidecar beside each and a controller beside HAProxy, each a
// process of its own on addresses that no other test has.
type site struct {
	t          *testing.T
	prog       peer.Program
	dir        string
	net        string // "127.9.4."
	front      string // where users come in
	haproxy    *peer.HAProxy
	started    time.Time // HAProxy, or its last reload
	ha         hasocket
	apps       []*app
	sidecars   []*medic
	controller *medic
}

var networks atomic.Uint32

// network is a part of 127.0.0.0/8 that is this test's alone, ending in a dot.
func network() string {
	n := networks.Add(1)
	return fmt.Sprintf("127.%d.%d.", 1+os.Getpid()%250, n%250)
}

// siteConfig is what tests say of a site.
type siteConfig struct {
	policy   string // of the controller; empty: enforce
	global   string // more lines in HAProxy's global section
	defaults string // more lines in its defaults section
	socket   string // where the controller asks HAProxy; empty: where it is
	blind    bool   // without master_socket
}

// newSite makes the farm and starts everything but the controller.
func newSite(t *testing.T, prog peer.Program, c siteConfig) *site {
	t.Helper()
	s := &site{t: t, prog: prog, dir: peertest.Dir(t), net: network()}
	s.front = s.net + "100:8000"
	for i := range 3 {
		s.apps = append(s.apps, newApp(t, fmt.Sprintf("s%d", i), s.address(i)+":8080"))
	}
	s.haproxy = peertest.HAProxy(t, prog, s.dir, s.balancerConfig(c))
	s.started, s.ha = time.Now(), hasocket(s.haproxy.Socket)
	for i := range s.apps {
		s.sidecars = append(s.sidecars, newMedic(t, s.dir, fmt.Sprintf("side%d", i), s.sidecarConfig(i)).start())
	}
	s.controller = newMedic(t, s.dir, "edge", s.controllerConfig(c))
	until(t, "HAProxy has every server up", func() bool {
		return s.ha.server("s0").up() && s.ha.server("s1").up() && s.ha.server("s2").up()
	})
	return s
}

func (s *site) address(i int) string { return fmt.Sprintf("%s%d", s.net, i+1) }

// balancerConfig has HAProxy check only that the app's port is open and its process answers. Checks have time to spare,
// for the machine may be busy with other tests.
func (s *site) balancerConfig(c siteConfig) string {
	var b strings.Builder
	b.WriteString(peer.HAProxyGlobal(s.dir) + c.global +
		"defaults\n    mode http\n    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n    timeout check 2s\n" + c.defaults +
		"frontend users\n    bind " + s.front + "\n    bind " + s.net + "100:8002 proto h2\n    default_backend web\nbackend web\n    balance roundrobin\n    option httpchk GET /alive\n")
	for i, a := range s.apps {
		fmt.Fprintf(&b, "    server s%d %s check inter 100ms rise 2 fall 3\n", i, a.address)
	}
	return b.String()
}

func (s *site) sidecarConfig(i int) string {
	a := s.apps[i].address
	return fmt.Sprintf(`health:
  http: %s:7780
  agent: off
  on_term: leave
  services:
    web:
      address: %s
      checks:
        app: {http: "http://%s/healthz", interval: 200ms, timeout: 190ms, rise: 2, fall: 3}
`, s.address(i), a, a)
}

func (s *site) controllerConfig(c siteConfig) string {
	policy, socket, master := "{mode: enforce}", s.haproxy.Socket, "\n      master_socket: "+s.haproxy.Master
	if c.policy != "" {
		policy = c.policy
	}
	if c.socket != "" {
		socket = c.socket
	}
	if c.blind {
		master = ""
	}
	return fmt.Sprintf(`balancers:
  edge:
    haproxy:
      config: [%s]
      socket: %s%s
      program: %s
    sidecar: "http://{address}:7780/health/by-port/{port}"
policy: %s
`, s.haproxy.Config, socket, master, s.prog.Path, policy)
}

// control starts the controller and waits until it knows of every server that its app passes.
func (s *site) control() *medic {
	s.t.Helper()
	s.controller.start()
	until(s.t, "the controller hears from every sidecar", func() bool {
		rows := s.controller.status().Servers
		for _, r := range rows {
			if r.Evidence.Status.String() != "pass" {
				return false
			}
		}
		return len(rows) == 3
	})
	return s.controller
}

// reload makes a new worker live and returns when it was first seen. A signal within a second of HAProxy's start or of
// another one may be lost, so it is sent again until there is a new worker.
func (s *site) reload() time.Time {
	s.t.Helper()
	old := s.ha.pid()
	wait := time.NewTimer(time.Until(s.started.Add(1200 * time.Millisecond)))
	defer wait.Stop()
	<-wait.C
	for range 5 {
		if err := s.haproxy.Reload(); err != nil {
			s.t.Fatal(err)
		}
		s.started = time.Now()
		for time.Since(s.started) < 1500*time.Millisecond {
			if pid := s.ha.pid(); pid != 0 && pid != old {
				return time.Now()
			}
		}
	}
	s.t.Fatal("HAProxy does not reload")
	return time.Time{}
}

// restart ends HAProxy, workers and all, and starts it again; it returns when the new one was first seen.
func (s *site) restart() time.Time {
	s.t.Helper()
	config, err := os.ReadFile(s.haproxy.Config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.haproxy.Stop()
	s.haproxy = peertest.HAProxy(s.t, s.prog, s.dir, string(config))
	s.started = time.Now()
	until(s.t, "HAProxy answers again", func() bool { return s.ha.pid() != 0 })
	return time.Now()
}

// get asks as a user does, on a connection of its own, and returns the app that answered and the status.
func (s *site) get(path string) (app string, status int, err error) {
	return post(&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+s.front+path)
}

func post(client *http.Client, url string) (app string, status int, err error) {
	res, err := client.Post(url, "text/plain", strings.NewReader("body"))
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return "", 0, err
	}
	return res.Header.Get("App"), res.StatusCode, nil
}

// hold begins a slow POST on one app and returns once the app has it. Its status comes when the app releases it.
func (s *site) hold(a *app) <-chan int {
	s.t.Helper()
	return s.holdBy(a, s.get)
}

func (s *site) holdBy(a *app, get func(path string) (app string, status int, err error)) <-chan int {
	s.t.Helper()
	before := a.held.Load()
	done := make(chan int, 16)
	go func() {
		for range 16 { // until the balancer chooses that app
			name, status, err := get("/slow?on=" + a.name)
			if err != nil {
				done <- -1
				return
			}
			if name == a.name {
				done <- status
				return
			}
		}
		done <- -2
	}()
	until(s.t, "the slow request is on "+a.name, func() bool { return a.held.Load() > before })
	return done
}

// reaches reports whether users reach a server.
func (s *site) reaches(server string) bool {
	for range 9 {
		if name, _, err := s.get("/"); err == nil && name == server {
			return true
		}
	}
	return false
}

// traffic is users who ask as long as the test wants.
type traffic struct {
	stop   chan struct{}
	ended  chan struct{}
	asked  atomic.Int64
	errors atomic.Int64 // answers that the broken app gave
	lost   atomic.Int64 // no answer, or one of HAProxy's own
	last   atomic.Value
}

func (s *site) load() *traffic {
	l := &traffic{stop: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-tick.C:
			}
			name, status, err := s.get("/")
			l.asked.Add(1)
			switch {
			case err != nil:
				l.lost.Add(1)
				l.last.Store(err.Error())
			case name == "":
				l.lost.Add(1)
				l.last.Store(fmt.Sprintf("HAProxy's own %d", status))
			case status != http.StatusOK:
				l.errors.Add(1)
			}
		}
	}()
	s.t.Cleanup(l.end)
	return l
}

func (l *traffic) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	<-l.ended
}

// watch records every state but up that HAProxy reports of some servers until it is ended.
func (s *site) watch(servers ...string) (end func() []string) {
	stop, ended := make(chan struct{}), make(chan struct{})
	var states []string
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for _, name := range servers {
				if got := s.ha.server(name); got.Admin >= 0 && !got.up() {
					states = append(states, fmt.Sprintf("%s %+v", name, got))
				}
			}
		}
	}()
	return func() []string {
		close(stop)
		<-ended
		return states
	}
}

// kill ends a process without a word to it.
const kill = syscall.SIGKILL

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *site) file(name string) string { return filepath.Join(s.dir, name) }
