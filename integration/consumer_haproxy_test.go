package integration

import (
	"encoding/csv"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// consumer is a HAProxy with backends of one server each, which all run the same app and ask its sidecar in different ways.
type consumer struct {
	t      *testing.T
	socket hasocket
}

// asks are the ways, by the name of the backend: what the backend has, and what its server line has.
type asks map[string]struct{ backend, server string }

func newConsumer(t *testing.T, prog peer.Program, p *patient, ways asks) consumer {
	t.Helper()
	dir := peertest.Dir(t)
	var b strings.Builder
	b.WriteString(peer.HAProxyGlobal(dir) + "defaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n    timeout check 2s\n" +
		"    default-server inter 200ms rise 1 fall 1 weight 100\n")
	for name, way := range ways {
		fmt.Fprintf(&b, "backend %s\n", name)
		for line := range strings.Lines(way.backend) {
			fmt.Fprintf(&b, "    %s\n", strings.TrimSpace(line))
		}
		fmt.Fprintf(&b, "    server w1 %s %s\n", p.app, way.server)
	}
	return consumer{t, hasocket(peertest.HAProxy(t, prog, dir, b.String()).Socket)}
}

// says is how HAProxy has the server of a backend: its status and its weight.
func (c consumer) says(backend string) (status, weight string) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(c.socket.say("show stat "+backend+" 4 -1"), "# "))).ReadAll()
	if err != nil || len(rows) != 2 {
		return fmt.Sprintf("%d rows: %v", len(rows), err), ""
	}
	return column(rows[0], rows[1], "status"), column(rows[0], rows[1], "weight")
}

// becomes waits until HAProxy has the servers so, by backend: a status, or a status and a weight as in "UP 50".
func (c consumer) becomes(when string, want map[string]string) {
	c.t.Helper()
	var wrong string
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		wrong = ""
		for backend, state := range want {
			status, weight := c.says(backend)
			if got := status + " " + weight; got != state && status != state {
				wrong += fmt.Sprintf("%s: backend %s has %s, not %s\n", when, backend, got, state)
			}
		}
		if wrong == "" {
			return
		}
		select {
		case <-deadline:
			c.t.Fatal(wrong)
		case <-tick.C:
		}
	}
}

// Every way in which HAProxy can ask, on every version, in every state.
func TestHAProxyFollowsEveryState(t *testing.T) {
	t.Parallel()
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		p := newPatient(t, "")
		_, port, _ := net.SplitHostPort(p.http)
		_, agentPort, _ := net.SplitHostPort(p.agent)
		c := newConsumer(t, prog, p, asks{
			"plain":     {"option httpchk GET /health/web", "check port " + port},
			"head":      {"option httpchk HEAD /health/web", "check port " + port},
			"expect":    {"option httpchk\nhttp-check send meth GET uri /health/by-port/8080\nhttp-check expect status 200", "check port " + port},
			"warned":    {"option httpchk GET /health/web?warn=429\nhttp-check expect status 200", "check port " + port},
			"body":      {"option httpchk GET /health/web\nhttp-check expect string \"{\\\"status\\\":\\\"pass\\\"\"", "check port " + port},
			"not-found": {"option httpchk GET /health/web?drain=404\nhttp-check disable-on-404", "check port " + port},
			"kube":      {"option httpchk GET /readyz", "check port " + port},
			"agent":     {"", "agent-check agent-inter 200ms agent-port " + agentPort},
			"both":      {"option httpchk GET /health/web?drain=404\nhttp-check disable-on-404", "check port " + port + " agent-check agent-inter 200ms agent-port " + agentPort},
		})
		for _, step := range []struct {
			state state
			want  map[string]string
		}{
			{passing, map[string]string{"plain": "UP", "head": "UP", "expect": "UP", "warned": "UP", "body": "UP", "not-found": "UP", "kube": "UP", "agent": "no check", "both": "UP"}},
			{warning, map[string]string{"plain": "UP", "head": "UP", "expect": "UP", "warned": "DOWN", "body": "DOWN", "not-found": "UP", "kube": "UP", "agent": "no check", "both": "UP 100"}},
			{failing, map[string]string{"plain": "DOWN", "head": "DOWN", "expect": "DOWN", "warned": "DOWN", "body": "DOWN", "not-found": "DOWN", "kube": "DOWN", "agent": "DOWN (agent)", "both": "DOWN (agent)"}},
			{passing, map[string]string{"plain": "UP", "head": "UP", "expect": "UP", "warned": "UP", "body": "UP", "not-found": "UP", "kube": "UP", "agent": "no check", "both": "UP"}},
			{drained, map[string]string{"plain": "DOWN", "head": "DOWN", "expect": "DOWN", "warned": "DOWN", "body": "DOWN", "not-found": "NOLB", "kube": "DOWN", "agent": "no check 0", "both": "NOLB"}},
			{passing, map[string]string{"plain": "UP", "head": "UP", "expect": "UP", "warned": "UP", "body": "UP", "not-found": "UP", "kube": "UP", "agent": "no check", "both": "UP"}},
		} {
			p.be(step.state)
			c.becomes(string(step.state), step.want)
		}
	})
}

// A dependency that fails and only degrades costs a quarter of the weight, once HAProxy has said by send-state that its weight has
// room for steps. Of the weight 1, which HAProxy would make 0 of 75 %, nothing is taken.
func TestHAProxyWeighsByTheAgent(t *testing.T) {
	t.Parallel()
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		for name, c := range map[string]struct{ server, whole, part string }{
			"steps":      {"weight 100", "UP 100", "UP 75"},
			"few steps":  {"weight 10", "UP 10", "UP 7"},
			"too coarse": {"weight 1", "UP 1", "UP 1"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newPatient(t, "")
				_, port, _ := net.SplitHostPort(p.http)
				_, agentPort, _ := net.SplitHostPort(p.agent)
				ha := newConsumer(t, prog, p, asks{"web": {"option httpchk GET /health/web\nhttp-check send-state",
					c.server + " check port " + port + " agent-check agent-inter 200ms agent-port " + agentPort}})
				for _, s := range []state{passing, warning, passing} {
					p.be(s)
					want := map[state]string{passing: c.whole, warning: c.part}[s]
					ha.becomes(string(s), map[string]string{"web": want})
					stays(t, want+" of "+string(s), time.Second, func() bool {
						status, weight := ha.says("web")
						return status+" "+weight == want
					})
				}
			})
		}
	})
}
