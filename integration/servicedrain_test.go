package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// fleet is an app with its sidecar, behind two HAProxies with a controller each; a second app takes what the first does not.
type fleet struct {
	t       *testing.T
	net     string
	apps    []*app
	edges   []*site // of which only HAProxy and the front are used
	control []*medic
	side    *medic
}

func newFleet(t *testing.T, prog peer.Program, drainAs string) *fleet {
	t.Helper()
	dir := peertest.Dir(t)
	f := &fleet{t: t, net: network()}
	for i := range 2 {
		f.apps = append(f.apps, newApp(t, fmt.Sprintf("s%d", i), fmt.Sprintf("%s%d:8080", f.net, i+1)))
	}
	ca := newAuthority(t, dir)
	var urls []string
	for i := range 2 {
		s := &site{t: t, prog: prog, dir: peertest.Dir(t), net: f.net, apps: f.apps, front: fmt.Sprintf("%s10%d:8000", f.net, i)}
		s.haproxy = peertest.HAProxy(t, prog, s.dir, f.balancer(s))
		s.started, s.ha = time.Now(), hasocket(s.haproxy.Socket)
		f.edges = append(f.edges, s)
		ip := fmt.Sprintf("%s10%d", f.net, i)
		cert, key := ca.host(fmt.Sprintf("edge%d.example", i), ip)
		name := fmt.Sprintf("edge%d", i)
		f.control = append(f.control, newMedicOver(t, dir, name, fmt.Sprintf("balancers:\n  %s: {haproxy: {config: [%s], socket: %s, master_socket: %s, program: %s}}\n",
			name, s.haproxy.Config, s.haproxy.Socket, s.haproxy.Master, prog.Path),
			fmt.Sprintf("{listen: \"%s:7784\", cert: %s, key: %s, client_ca: %s, allow: [app.example]}", ip, cert, key, ca.file)))
		urls = append(urls, "https://"+ip+":7784")
	}
	cert, key := ca.host("app.example", f.net+"1")
	f.side = newMedic(t, dir, "side", fmt.Sprintf(`health:
  http: %[1]s1:7780
  agent: %[1]s1:7781
  on_term: leave
  drain_as: %[2]s
  balancers: [127.0.0.0/8]
  controllers: {urls: ["%[3]s"], ca: %[4]s, cert: %[5]s, key: %[6]s}
  services:
    web:
      address: %[1]s1:8080
      checks:
        app: {http: "http://%[1]s1:8080/healthz", interval: 200ms, timeout: 190ms}
`, f.net, drainAs, strings.Join(urls, `", "`), ca.file, cert, key)).start()
	for i, m := range f.control {
		m.start()
		until(t, m.name+" sees both servers up", func() bool {
			return f.edges[i].ha.server("s0").up() && f.edges[i].ha.server("s1").up() && len(m.status().Servers) == 2
		})
	}
	return f
}

// newMedicOver is newMedic with the admin API over TCP.
func newMedicOver(t *testing.T, dir, name, config, remote string) *medic {
	t.Helper()
	m := newMedic(t, dir, name, config)
	replaceIn(t, m.config, "admin: {", "admin: {remote: "+remote+", ")
	return m
}

func (f *fleet) balancer(s *site) string {
	return peer.HAProxyGlobal(s.dir) + "defaults\n    mode http\n    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n    timeout check 2s\n" +
		"frontend users\n    bind " + s.front + "\n    default_backend web\nbackend web\n    balance roundrobin\n" +
		"    option httpchk GET /health/web?drain=404\n    http-check send-state\n    http-check disable-on-404\n" +
		fmt.Sprintf("    server s0 %[1]s1:8080 weight 100 check addr %[1]s1 port 7780 inter 100ms agent-check agent-addr %[1]s1 agent-port 7781 agent-inter 100ms\n", f.net) +
		fmt.Sprintf("    server s1 %s2:8080 weight 100 check inter 100ms\n", f.net)
}

func TestADrainBesideTheAppWaitsForTheOldWorkersOfEveryBalancer(t *testing.T) {
	for _, word := range []string{"drain", "0%"} {
		t.Run(word, func(t *testing.T) {
			peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
				t.Parallel()
				newFleet(t, prog, word).drainsWithoutLoss()
			})
		})
	}
}

func (f *fleet) drainsWithoutLoss() {
	t, first := f.t, f.edges[0]
	var users []*traffic
	for _, s := range f.edges {
		users = append(users, s.load())
	}
	on := first.hold(f.apps[0])
	first.reload() // in the middle: the old worker has the request, and the connection it came on

	wait := f.side.begin("drain", "web", "--for", "1h", "--reason", "deploy", "--wait", "--timeout", "60s")
	second := fmt.Sprintf("%s101:7784 drained", f.net)
	until(t, "one controller says drained and one says who holds it", func() bool {
		lines := strings.Split(strings.TrimSpace(wait.out.String()), "\n")
		last := lines[len(lines)-1]
		return strings.Contains(last, second) && strings.Contains(last, "edge0/web/s0 draining: old worker")
	})
	stays(t, "the request in the old worker holds it", 700*time.Millisecond, func() bool { return !wait.hasEnded() })
	f.apps[0].release <- struct{}{}
	if status := <-on; status != http.StatusOK {
		t.Errorf("the request that held the drain ended with %d", status)
	}
	untilWithin(t, 30*time.Second, "it returns", wait.hasEnded)
	out := wait.out.String()
	if code := wait.cmd.ProcessState.ExitCode(); code != 0 || !strings.Contains(out, fmt.Sprintf("web: drained, confirmed by %[1]s100:7784 (edge0/web/s0), %[1]s101:7784 (edge1/web/s0)", f.net)) {
		t.Fatalf("it ended with %d: %s", code, out)
	}
	hits := f.apps[0].hits.Load()
	stays(t, "no request reaches the app", 500*time.Millisecond, func() bool { return f.apps[0].hits.Load() == hits })

	for _, s := range f.edges {
		s.reload() // the new worker has forgotten, and is told again before its next request is far
	}
	f.confirms()
	f.side.cli("ready", "web").must(t)
	before := f.apps[0].hits.Load()
	until(t, "the app gets requests again", func() bool { return f.apps[0].hits.Load() > before+20 })
	for i, u := range users {
		u.end()
		if u.lost.Load() > 0 || u.errors.Load() > 0 || u.asked.Load() < 50 {
			t.Errorf("edge%d: %d requests, %d lost, %d errors: %v", i, u.asked.Load(), u.lost.Load(), u.errors.Load(), u.last.Load())
		}
	}
	t.Logf("%d and %d requests, none lost", users[0].asked.Load(), users[1].asked.Load())
}

// confirms waits again for the drain that stands, for a program to read, and looks at what the balancers say.
func (f *fleet) confirms() {
	t := f.t
	said := f.side.cli("drain", "web", "--for", "1h", "--wait", "--timeout", "30s", "-o", "json").must(t)
	var results []struct {
		Name    string `json:"name"`
		Service struct {
			End  string `json:"end"`
			Acks []struct {
				Controller, State string
			} `json:"acks"`
		} `json:"service_drain"`
	}
	if err := json.Unmarshal([]byte(said.stdout), &results); err != nil || len(results) != 1 || results[0].Service.End != "drained" || len(results[0].Service.Acks) != 2 {
		t.Errorf("%v: %s", err, said.stdout)
	}
	status := f.side.cli("status").must(t)
	if !strings.Contains(status.stdout, "web/s0") || !strings.Contains(status.stdout, "ASKED BY") {
		t.Errorf("status does not say who asks: %s", status.stdout)
	}
}

// Without a controller nobody knows, and no word or status of the command can be taken for a confirmation.
func TestADrainWithoutControllersIsNeverConfirmed(t *testing.T) {
	dir, net := peertest.Dir(t), network()
	app := newApp(t, "s0", net+"1:8080")
	m := newMedic(t, dir, "side", fmt.Sprintf("health:\n  http: off\n  agent: off\n  on_term: leave\n  drain_wait: 300ms\n  services:\n    web:\n      address: %[1]s\n      checks:\n        app: {http: \"http://%[1]s/healthz\"}\n", app.address)).start()
	begun := time.Now()
	said := m.cli("drain", "web", "--wait")
	if said.code != 3 || !strings.Contains(said.stderr, "UNCONFIRMED after 300ms") || strings.Contains(said.stdout+said.stderr, "drained") || time.Since(begun) < 300*time.Millisecond {
		t.Errorf("status %d: %s%s", said.code, said.stdout, said.stderr)
	}
	if said := m.cli("drain", "web", "--wait", "-q"); said.code != 3 || !strings.Contains(said.stderr, "UNCONFIRMED") {
		t.Errorf("quietly: status %d: %s%s", said.code, said.stdout, said.stderr)
	}
	if said := m.cli("drain", "web", "--wait", "-o", "json"); said.code != 3 || !strings.Contains(said.stdout, `"end": "unconfirmed"`) {
		t.Errorf("in JSON: status %d: %s%s", said.code, said.stdout, said.stderr)
	}
}

// A drain with an end stands over a restart of the sidecar, is not cut short, and ends once.
func TestADrainWithAnEndOutlivesTheDaemon(t *testing.T) {
	dir, net := peertest.Dir(t), network()
	app := newApp(t, "s0", net+"1:8080")
	m := newMedic(t, dir, "side", fmt.Sprintf("health:\n  http: off\n  agent: off\n  on_term: leave\n  services:\n    web:\n      address: %[1]s\n      checks:\n        app: {http: \"http://%[1]s/healthz\"}\n", app.address)).start()
	m.cli("drain", "web", "--for", "5s").must(t)
	begun := time.Now()
	drained := func() bool { return strings.Contains(m.cli("status").stdout, "drain") }
	m.end(kill)
	m.start()
	if !drained() {
		t.Fatal("the drain did not outlive the daemon")
	}
	until(t, "it ends", func() bool { return !drained() })
	if took := time.Since(begun); took < 4900*time.Millisecond {
		t.Errorf("it ended after %s", took)
	}
	m.end(kill)
	m.start()
	if drained() {
		t.Error("it came back")
	}
}

// replaceIn changes a file of a test.
func replaceIn(t *testing.T, path, old, with string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not say %q", filepath.Base(path), old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, with, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
