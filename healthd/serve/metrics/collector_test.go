package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frozen is a source whose state does not change.
type frozen struct{ *healthd.Snapshot }

func (f frozen) Latest() *healthd.Snapshot { return f.Snapshot }

func (f frozen) Wait(ctx context.Context, after uint64) (*healthd.Snapshot, error) {
	<-ctx.Done()
	return f.Snapshot, ctx.Err()
}

// scrape asks as Prometheus does.
func scrape(t testing.TB, c *Collector) string {
	t.Helper()
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func states(t *testing.T) map[string]*healthd.Snapshot {
	t.Helper()
	files, err := filepath.Glob("../testdata/states/*.json")
	if err != nil || len(files) < 9 {
		t.Fatal(files, err)
	}
	all := map[string]*healthd.Snapshot{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := &healthd.Snapshot{}
		if err := json.Unmarshal(text, s); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = s
	}
	return all
}

// The numbers of the same states that the other shapes are tested with.
func TestMetricsOfEveryState(t *testing.T) {
	all := states(t)
	for state, want := range map[string][]string{
		"pass": {`check_status{check="app",service="web",status="pass"} 1`, `check_status{check="app",service="web",status="fail"} 0`, `ready 1`,
			`service_status{service="web",status="pass"} 1`, `service_weight_ratio{service="web"} 1`, `health_score_ratio 1`, `state_age_seconds 9`,
			`check_duration_seconds{check="app",service="web",quantile="0.95"} 0.00425`, `check_observed_value{check="disk",service="web",unit="percent"} 41.5`,
			`shared_dependency_suspect{check="orders",service="web"} 0`, `service_admin_state{service="web",state="ready"} 1`},
		"warn":     {`check_status{check="disk",service="web",status="warn"} 1`, `check_observed_value{check="disk",service="web",unit="percent"} 91`, `ready 1`},
		"fail":     {`service_status{service="web",status="fail"} 1`, `ready 0`, `health_score_ratio 0`, `check_duration_seconds{check="app",service="web",quantile="0.95"} 1`},
		"starting": {`service_status{service="web",status="unknown"} 1`, `ready 0`, `health_score_ratio 0`},
		"stale":    {`check_stale{check="app",service="web"} 1`, `service_stale{service="web"} 1`, `ready 1`},
		"drain":    {`service_admin_state{service="web",state="drain"} 1`, `service_status{service="web",status="pass"} 1`, `ready 0`, `health_score_ratio 0`},
		"maint":    {`service_admin_state{service="web",state="maint"} 1`, `ready 0`},
		"damped":   {`check_damped{check="app",service="web"} 1`, `check_damped{check="disk",service="web"} 0`, `service_weight_ratio{service="web"} 0.5`, `health_score_ratio 0.5`, `check_duration_seconds{check="app",service="web",quantile="0.5"} 0.7`},
		"suspect":  {`shared_dependency_suspect{check="orders",service="web"} 1`, `check_status{check="orders",service="web",status="fail"} 1`, `ready 1`},
	} {
		s := all[state]
		text := scrape(t, New(Settings{Source: frozen{s}, Now: func() time.Time { return s.At.Add(9 * time.Second) }}))
		for _, line := range want {
			if !strings.Contains(text, "\nlbmedic_"+line+"\n") {
				t.Errorf("%s: no lbmedic_%s", state, line)
			}
		}
	}
}

func TestEveryProbeIsCounted(t *testing.T) {
	const probers, each = 8, 250
	services := []probe.Service{{Name: "web", Checks: []probe.Check{{Name: "app", Kind: "http"}, {Name: "gone", Kind: "http"}}}}
	b, err := probe.NewBoard(probe.Settings{Services: services})
	if err != nil {
		t.Fatal(err)
	}
	c := New(Settings{Source: b, Next: b, Version: "v1\n\"x\""})
	var all sync.WaitGroup
	for i := range probers {
		all.Go(func() {
			for k := range each {
				class := []healthd.Class{healthd.OK, healthd.Refused, healthd.OwnFault, healthd.Degraded}[(i+k)%4]
				c.Report("web", "app", healthd.NewOutcome(time.Now(), 10*time.Millisecond, class, ""))
				c.Report("web", "nobody", healthd.Outcome{})
				c.Report(fmt.Sprint("made up ", k), "app", healthd.Outcome{})
				if k%50 == 0 {
					scrape(t, c)
				}
			}
		})
	}
	all.Wait()
	c.Report("web", "gone", healthd.NewOutcome(time.Now(), 1, healthd.OK, ""))
	services[0].Checks = services[0].Checks[:1]
	b.Replace(services) // what stays configured is counted on
	c.Report("web", "gone", healthd.NewOutcome(time.Now(), 1, healthd.OK, ""))
	text := scrape(t, c)
	for _, line := range []string{`check_runs_total{check="app",service="web"} 2000`, `check_failures_total{check="app",service="web"} 500`,
		`check_own_faults_total{check="app",service="web"} 500`, `check_duration_seconds_count{check="app",service="web"} 1500`,
		`check_duration_seconds_sum{check="app",service="web"} 15`} {
		if !strings.Contains(text, "\nlbmedic_"+line+"\n") {
			t.Errorf("no lbmedic_%s in %s", line, grep(text, "lbmedic_check"))
		}
	}
	for _, leaked := range []string{"made up", "nobody", "gone"} {
		if strings.Contains(text, leaked) {
			t.Errorf("%q is in the metrics: %s", leaked, grep(text, leaked))
		}
	}
	if len(c.tally.checks) != 1 {
		t.Errorf("%d counts are kept", len(c.tally.checks))
	}
	if v, ok := b.Latest().Services[0].Check("app"); !ok || v.Verdict.Last.At.IsZero() {
		t.Error("the board heard nothing")
	}
}

func TestWhatIsNotConfiguredIsNotKept(t *testing.T) {
	c := New(Settings{Source: frozen{states(t)["pass"]}})
	for i := range 1000 {
		c.Report("web", fmt.Sprint("made up ", i), healthd.Outcome{})
		c.Report(fmt.Sprint("made up ", i), "app", healthd.Outcome{})
	}
	if n := len(c.tally.checks); n != 0 {
		t.Errorf("%d counts are kept before anybody asks", n)
	}
}

func grep(text, part string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func TestAnswersOfTheAgentAreCountedByWordsOfOurs(t *testing.T) {
	c := New(Settings{Source: frozen{&healthd.Snapshot{}}})
	for _, line := range []string{"up", "up\n", "down #app: refused\n", "ready up\n", "drain", "maint", "", "whatever a caller made up", "50%"} {
		c.Answered(line)
	}
	text := grep(scrape(t, c), "lbmedic_agent_responses_total{")
	want := ""
	for _, s := range []string{`down"} 1`, `drain"} 1`, `maint"} 1`, `none"} 1`, `other"} 2`, `ready"} 1`, `up"} 2`} {
		want += `lbmedic_agent_responses_total{word="` + s + "\n"
	}
	if text != want {
		t.Errorf("%s", text)
	}
}

// hostile names: whatever a configuration or a file on disk holds, the answer stays whole and each label one line of ASCII.
func TestHostileNamesAreLabelsOfOneLine(t *testing.T) {
	long := strings.Repeat("n", 500)
	s := &healthd.Snapshot{At: time.Unix(1, 0)}
	for _, name := range []string{"", "\xff", "a\nlbmedic_evil 1", `b"} 1`, `c\`, "é\u202e", long + "1", long + "2"} {
		s.Services = append(s.Services, healthd.Service{Name: name, Checks: []healthd.Check{{Name: name, Shared: true,
			Verdict: healthd.Verdict{Last: healthd.NewOutcome(time.Unix(1, 0), 1, healthd.OK, "").Measured(1, name)}}, {Name: name},
			{Name: "nan", Verdict: healthd.Verdict{Last: healthd.NewOutcome(time.Unix(1, 0), 1, healthd.OK, "").Measured(math.NaN(), "x")}}}})
	}
	c := New(Settings{Source: frozen{s}})
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	text := scrape(t, c)
	if strings.Contains(text, "NaN") {
		t.Error("a value is no number")
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "lbmedic_evil") || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q", line)
		}
	}
	if n := strings.Count(text, "lbmedic_service_stale{"); n != len(s.Services)-1 { // two are cut to the same
		t.Errorf("%d services", n)
	}
	lint(t, text)
}

// lint holds the answer against Prometheus's own tool.
func lint(t *testing.T, text string) {
	t.Helper()
	promtool := peertest.Tool(t, "promtool")
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = bytes.NewBufferString(text)
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestPromtoolFindsNothing(t *testing.T) {
	for name, s := range states(t) {
		c := New(Settings{Source: frozen{s}, Next: nil, Version: "v1.2.3"})
		c.Report("web", "app", healthd.NewOutcome(time.Now(), time.Millisecond, healthd.OK, ""))
		c.Answered("up")
		text := scrape(t, c)
		if grep(text, "lbmedic_build_info") == "" {
			t.Errorf("%s: no build info", name)
		}
		lint(t, text)
	}
}

// Every check of the biggest instance that is promised, once: how long an answer takes is for the log, that it is whole is the test.
func TestTenThousandChecks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds under the race detector")
	}
	s := &healthd.Snapshot{At: time.Unix(1, 0)}
	for i := range 100 {
		svc := healthd.Service{Name: fmt.Sprintf("s%03d", i)}
		for k := range 100 {
			svc.Checks = append(svc.Checks, healthd.Check{Name: fmt.Sprintf("c%03d", k), Latency: healthd.Latency{N: 1, P50: 1, P95: 1, P99: 1}})
		}
		s.Services = append(s.Services, svc)
	}
	begun := time.Now()
	text := scrape(t, New(Settings{Source: frozen{s}}))
	t.Logf("%d lines in %s", strings.Count(text, "\n"), time.Since(begun))
	if n := strings.Count(text, "\nlbmedic_check_runs_total{"); n != 10_000 {
		t.Errorf("%d checks", n)
	}
}
