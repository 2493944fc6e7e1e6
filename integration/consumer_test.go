package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// patient is a sidecar beside an app that can be put into each state which its consumers tell apart. It has an address of its own.
type patient struct {
	*medic
	http, agent, grpc string // where it is asked
	app               string // address of the app
	appFails          atomic.Bool
	cacheFails        atomic.Bool
}

// state is what the patient is to be.
type state string

const (
	passing state = "pass"
	warning state = "warn"  // a check of impact degrade fails
	failing state = "fail"  // the app itself fails
	drained state = "drain" // an operator took it out
)

// newPatient starts one with the service web; more is added to the configuration's health section, where GRPC stands for the
// address of that port.
func newPatient(t *testing.T, more string) *patient {
	t.Helper()
	ip := network() + "1"
	p := &patient{http: ip + ":7780", agent: ip + ":7781", grpc: ip + ":7782", app: ip + ":8080"}
	l, err := net.Listen("tcp", p.app)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(p)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	p.medic = newMedic(t, peertest.Dir(t), "side", fmt.Sprintf(`health:
  http: %s
  agent: %s
  on_term: leave
%s  services:
    web:
      address: %s
      checks:
        app:   {http: "http://%[4]s/app", interval: 500ms, timeout: 490ms, rise: 1, fall: 1}
        cache: {http: "http://%[4]s/cache", interval: 500ms, timeout: 490ms, rise: 1, fall: 1, impact: degrade}
`, p.http, p.agent, strings.ReplaceAll(more, "GRPC", p.grpc), p.app)).start()
	p.be(passing)
	return p
}

// ServeHTTP is the app.
func (p *patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/app" && p.appFails.Load() || r.URL.Path == "/cache" && p.cacheFails.Load() {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "in order")
}

// be puts the patient into a state and returns once its /health says so.
func (p *patient) be(s state) {
	p.t.Helper()
	p.appFails.Store(s == failing)
	p.cacheFails.Store(s == warning)
	if s == drained {
		p.cli("drain", "web", "--reason", "deploy").must(p.t)
	} else {
		p.cli("ready", "web").must(p.t)
	}
	until(p.t, "the sidecar says "+string(s), func() bool {
		a := p.get("/health/web?warn=429&drain=404")
		return a.code == map[state]int{passing: 200, warning: 429, failing: 503, drained: 404}[s]
	})
}

// answer is what was answered; code 0: nothing.
type answer struct {
	code   int
	header http.Header
	body   string
}

// get asks the sidecar from loopback.
func (p *patient) get(path string) answer { return get("http://" + p.http + path) }

// get asks over a connection of its own.
func get(url string) answer {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}
	}
	return answer{resp.StatusCode, resp.Header, strings.TrimSpace(string(body))}
}

// Kubernetes and its kin read nothing but the code of a plain GET: 200 to 399 is success.
func TestAKubeletReadsTheCode(t *testing.T) {
	t.Parallel()
	p := newPatient(t, "")
	for _, s := range []state{passing, warning, failing, drained, passing} {
		p.be(s)
		serving := s == passing || s == warning
		for path, success := range map[string]bool{
			"/livez":                      true, // nothing here is cured by a restart
			"/readyz":                     serving,
			"/readyz?verbose":             serving,
			"/readyz?exclude=web":         true,
			"/health":                     serving,
			"/health/web":                 serving,
			"/health/by-port/8080":        serving,
			"/health/by-port/8081":        false,
			"/health/web?warn=429&brief":  s == passing,
			"/nothing/here":               false,
			"/health/web?warn=nonsense":   false,
			"/health/web?unknown=ignored": serving,
		} {
			code := p.get(path).code
			if got := code >= 200 && code <= 399; got != success {
				t.Errorf("%s: GET %s is %d, and success should be %v", s, path, code, success)
			}
		}
	}
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
