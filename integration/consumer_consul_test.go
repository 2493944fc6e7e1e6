package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// agent is a real Consul agent, by its HTTP API.
type agent struct {
	t       *testing.T
	address string
}

// consulCheck is one check of an agent as it reports it.
type consulCheck struct{ Status, Output string }

func newAgent(t *testing.T) agent { return agent{t, peertest.Consul(t, "").Address} }

// register has the agent run checks of the service web. Consul checks once a second at most.
func (a agent) register(checks ...map[string]any) {
	a.t.Helper()
	for _, c := range checks {
		c["Interval"], c["Timeout"] = "1s", "5s"
	}
	body, err := json.Marshal(map[string]any{"ID": "web", "Name": "web", "Checks": checks})
	if err != nil {
		a.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPut, "http://"+a.address+"/v1/agent/service/register", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || err != nil {
		a.t.Fatalf("register: %s: %s %v", resp.Status, text, err)
	}
}

// check reads one of them.
func (a agent) check(id string) consulCheck {
	var checks map[string]consulCheck
	if json.Unmarshal([]byte(get("http://"+a.address+"/v1/agent/checks").body), &checks) != nil {
		return consulCheck{}
	}
	return checks[id]
}

// becomes waits until Consul says so of each check. Several rounds of its checks have to fit in, on a machine that is busy.
func (a agent) becomes(want map[string]string) {
	a.t.Helper()
	var wrong string
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		wrong = ""
		for id, status := range want {
			if got := a.check(id); got.Status != status {
				wrong += fmt.Sprintf("check %s is %q, not %s: %.200s\n", id, got.Status, status, got.Output)
			}
		}
		if wrong == "" {
			return
		}
		select {
		case <-deadline:
			a.t.Fatal(wrong)
		case <-tick.C:
		}
	}
}

// An HTTP check of Consul tells warn by 429; without ?warn it passes. What Consul makes of its service is what a
// balancer reads that asks Consul: 200, 429 or 503.
func TestConsulHTTPCheckFollowsEveryState(t *testing.T) {
	t.Parallel()
	p, a := newPatient(t, ""), newAgent(t)
	a.register(
		map[string]any{"CheckID": "warned", "HTTP": "http://" + p.http + "/health/web?warn=429&brief"},
		map[string]any{"CheckID": "plain", "HTTP": "http://" + p.http + "/health"},
		map[string]any{"CheckID": "head", "HTTP": "http://" + p.http + "/health/web", "Method": "HEAD"},
		map[string]any{"CheckID": "ready", "HTTP": "http://" + p.http + "/readyz"},
	)
	for _, c := range []struct {
		state         state
		warned, plain string
		code          int
		says          string
	}{
		{passing, "passing", "passing", http.StatusOK, `"status":"pass"`},
		{warning, "warning", "passing", http.StatusTooManyRequests, "cache: status 503"},
		{failing, "critical", "critical", http.StatusServiceUnavailable, "app: status 503"},
		{drained, "critical", "critical", http.StatusServiceUnavailable, "drain"},
		{passing, "passing", "passing", http.StatusOK, `"status":"pass"`},
	} {
		p.be(c.state)
		a.becomes(map[string]string{"warned": c.warned, "plain": c.plain, "head": c.plain, "ready": c.plain})
		until(t, fmt.Sprintf("who reads Consul of %s is told %s", c.state, c.says), func() bool {
			return strings.Contains(a.check("warned").Output, c.says)
		})
		until(t, fmt.Sprintf("Consul sums %s up to %d", c.state, c.code), func() bool {
			return get("http://"+a.address+"/v1/agent/health/service/id/web").code == c.code
		})
	}
}

// A TCP check of Consul asks only whether the agent-check port is open. It reads nothing, and the sidecar is not bothered
// by callers that hang up.
func TestConsulTCPCheckSeesTheSidecarItself(t *testing.T) {
	t.Parallel()
	p, a := newPatient(t, ""), newAgent(t)
	a.register(map[string]any{"CheckID": "agent", "TCP": p.agent}, map[string]any{"CheckID": "http", "TCP": p.http})
	a.becomes(map[string]string{"agent": "passing", "http": "passing"})
	p.be(failing)
	a.becomes(map[string]string{"agent": "passing", "http": "passing"})
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	a.becomes(map[string]string{"agent": "critical", "http": "critical"})
	p.start()
	a.becomes(map[string]string{"agent": "passing", "http": "passing"})
}

// Consul keeps 4 KB of a body. With ?brief that is all of it, and what fails is in it.
func TestConsulGetsTheWholeOfABriefBody(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	app := network() + "1:8080"
	var checks strings.Builder
	for i := range 80 {
		fmt.Fprintf(&checks, "        the-%s-of-shard-%02d: {http: \"http://%s/%02d\", interval: 500ms, timeout: 490ms, fall: 1, impact: %s}\n",
			strings.Repeat("long-name-", 4), i, app, i, map[bool]string{true: "required", false: "degrade"}[i == 79])
	}
	p := network() + "1:7780"
	newMedic(t, peertest.Dir(t), "side", "health:\n  http: "+p+"\n  agent: off\n  on_term: leave\n  services:\n    web:\n      checks:\n"+checks.String()).start()
	until(t, "every check has failed", func() bool { return strings.Count(get("http://"+p+"/health/web").body, `"status":"fail"`) > 80 })
	a.register(
		map[string]any{"CheckID": "whole", "HTTP": "http://" + p + "/health/web"},
		map[string]any{"CheckID": "brief", "HTTP": "http://" + p + "/health/web?brief"},
	)
	a.becomes(map[string]string{"whole": "critical", "brief": "critical"})
	until(t, "Consul has both bodies, the one check that fails the service in the brief one", func() bool {
		return strings.Contains(a.check("whole").Output, "{") && strings.Contains(a.check("brief").Output, "shard-79")
	})
	bodies := map[string]string{}
	for _, id := range []string{"whole", "brief"} {
		_, bodies[id], _ = strings.Cut(a.check(id).Output, " Output: ")
	}
	if json.Valid([]byte(bodies["whole"])) {
		t.Errorf("the whole body was not cut, so this test shows nothing: %d bytes", len(bodies["whole"]))
	}
	if !json.Valid([]byte(bodies["brief"])) || len(bodies["brief"]) > 4096 {
		t.Errorf("the brief body was cut: %d bytes: %s", len(bodies["brief"]), bodies["brief"])
	}
}
