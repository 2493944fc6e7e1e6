package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// board serves web on 8080 with the checks app (required) and orders (degrade), and api, which nobody measures until told.
func board(t *testing.T) *probe.Board {
	t.Helper()
	b, err := probe.NewBoard(probe.Settings{
		Dir:     t.TempDir(),
		Problem: func(err error) { t.Errorf("problem: %v", err) },
		Services: []probe.Service{
			{Name: "web", Address: "127.0.0.1:8080", Checks: []probe.Check{
				{Name: "app", Kind: "http", Measurement: "responseTime", Target: "http://127.0.0.1:8080/"},
				{Name: "orders", Kind: "tcp", Measurement: "connectTime", Target: "127.0.0.1:5432", Impact: healthd.Degrade, Shared: true},
			}},
			{Name: "api", Address: "127.0.0.1:8081", Checks: []probe.Check{{Name: "app", Kind: "http"}}},
			{Name: "twin", Address: "127.0.0.2:8081"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func report(b *probe.Board, check string, class healthd.Class, times int) {
	service, name, _ := strings.Cut(check, "/")
	for range times {
		b.Report(service, name, healthd.NewOutcome(time.Now(), 1500*time.Microsecond, class, "seen "+class.String()))
	}
}

func order(t *testing.T, b *probe.Board, service string, state healthd.AdminState, reason string) {
	t.Helper()
	if err := b.Order(service, healthd.Admin{State: state, Reason: reason}); err != nil {
		t.Fatal(err)
	}
}

// serving runs until the test ends, and gives the address.
func serving(t *testing.T, address string, h *HTTP) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	until(t, func(ctx context.Context) error { return h.Run(ctx, l) })
	return l.Addr().String()
}

func until(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

// caller asks from a source address of its own, on a fresh connection each time.
func caller(source string) *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}).DialContext},
	}
}

func get(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := caller("127.0.0.1").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestStatusCodesAskerByAsker(t *testing.T) {
	for name, c := range map[string]struct {
		given func(*testing.T, *probe.Board)
		codes map[string]int // by query
		state string
		says  []string
	}{
		"starting": {func(*testing.T, *probe.Board) {}, map[string]int{"": 503, "?drain=404": 503, "?warn=429": 503}, "starting",
			[]string{`"status":"fail"`, `"notes":["starting: the first round of checks is not over"]`}},
		"pass": {func(_ *testing.T, b *probe.Board) { report(b, "web/app", healthd.OK, 1) },
			map[string]int{"": 200, "?warn=429": 200, "?drain=404": 200, "?x=1": 200, "?warn=200&drain=503": 200, "?warn=418": 400, "?drain=200": 400, "?warn=%zz": 400}, "",
			[]string{`"status":"pass"`, `"serviceId":"web"`, `"app:responseTime":[{"componentType":"component","observedValue":1.5,"observedUnit":"ms","status":"pass","time":"`}},
		"warn": {func(_ *testing.T, b *probe.Board) {
			report(b, "web/app", healthd.OK, 1)
			report(b, "web/orders", healthd.Refused, 3)
		},
			map[string]int{"": 200, "?warn=429": 429, "?warn=200": 200, "?drain=404": 200}, "",
			[]string{`"status":"warn"`, `"output":"orders: seen refused"`}},
		"fail": {func(_ *testing.T, b *probe.Board) { report(b, "web/app", healthd.TimedOut, 3) },
			map[string]int{"": 503, "?warn=429": 503, "?drain=404": 503}, "",
			[]string{`"status":"fail"`, `"output":"app: seen timeout"`}},
		"drain": {func(t *testing.T, b *probe.Board) {
			report(b, "web/app", healthd.OK, 1)
			order(t, b, "web", healthd.Drain, "deploy 42")
		}, map[string]int{"": 503, "?drain=404": 404, "?drain=503": 503}, "drain, pass", []string{`"status":"fail"`, `"notes":["drain: deploy 42"]`}},
		"maint while failing": {func(t *testing.T, b *probe.Board) {
			report(b, "web/app", healthd.TimedOut, 3)
			order(t, b, "web", healthd.Maint, "")
		}, map[string]int{"": 503, "?drain=404": 503}, "maint", []string{`"status":"fail"`, `"notes":["maintenance"]`}},
	} {
		t.Run(name, func(t *testing.T) {
			b := board(t)
			c.given(t, b)
			url := "http://" + serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b})) + "/health/web"
			for query, want := range c.codes {
				resp, body := get(t, "GET", url+query)
				if resp.StatusCode != want {
					t.Errorf("%s: code %d, want %d: %s", query, resp.StatusCode, want, body)
				}
				if resp.Header.Get("Lbmedic-Generation") != b.Latest().Tag() || resp.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: headers %v", query, resp.Header)
				}
				if (resp.Header.Get("Retry-After") != "") != (want == 503) {
					t.Errorf("%s: Retry-After %q with %d", query, resp.Header.Get("Retry-After"), want)
				}
				if want == 400 {
					continue
				}
				if got := resp.Header.Get("Lbmedic-State"); got != c.state || resp.Header.Get("Content-Type") != "application/health+json" {
					t.Errorf("%s: state %q, headers %v", query, got, resp.Header)
				}
				for _, part := range c.says {
					if !strings.Contains(body, part) {
						t.Errorf("%s: no %s in %s", query, part, body)
					}
				}
				head, empty := get(t, "HEAD", url+query)
				if head.StatusCode != want || empty != "" || head.ContentLength != int64(len(body)) {
					t.Errorf("HEAD %s: %d, %q, length %d", query, head.StatusCode, empty, head.ContentLength)
				}
			}
			for path, want := range map[string]int{"/livez": 200, "/health/by-port/8080": c.codes[""]} {
				if resp, _ := get(t, "GET", strings.Replace(url, "/health/web", path, 1)); resp.StatusCode != want {
					t.Errorf("%s: %d", path, resp.StatusCode)
				}
			}
		})
	}
}

func TestPathsAndMethods(t *testing.T) {
	b := board(t)
	base := "http://" + serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b}))
	for request, want := range map[string]struct {
		code int
		body string
	}{
		"GET /health/nobody":       {404, "there are: api, twin, web"},
		"GET /health/":             {404, "no such service"},
		"GET /health/web/app":      {404, "no such service"},
		"GET /health/by-port/8081": {404, "several services listen on port 8081"},
		"GET /health/by-port/1":    {404, "no such service"},
		"GET /":                    {404, "here are /health"},
		"GET /healthy":             {404, "here are /health"},
		"GET /metrics":             {404, "here are /health"},
		"GET /health/web%2Fapp":    {404, "no such service"},
		"GET /health/%2e%2e/livez": {404, "no such service"},
		"GET //health":             {404, "here are /health"},
		"GET /health/..%2flivez":   {404, "no such service"},
		"GET /health/twin":         {200, `"status":"pass"`},
		"POST /health":             {405, "ask with GET or HEAD"},
		"DELETE /health/web":       {405, "ask with GET or HEAD"},
		"GET /health/web?after=x":  {400, "after:"},
		"GET /health/web?after=" + b.Latest().Tag() + "&wait=soon": {400, "no duration"},
	} {
		method, path, _ := strings.Cut(request, " ")
		resp, body := get(t, method, base+path)
		if resp.StatusCode != want.code || !strings.Contains(body, want.body) {
			t.Errorf("%s: %d %s", request, resp.StatusCode, body)
		}
		if want.code >= 400 && (resp.Header.Get("Content-Type") != "application/problem+json" || !json.Valid([]byte(body))) {
			t.Errorf("%s: %s: %s", request, resp.Header.Get("Content-Type"), body)
		}
		if resp.Header.Get("Lbmedic-Generation") == "" || want.code == 405 && resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: headers %v", request, resp.Header)
		}
	}
}

// Whoever asks with HEAD hears the same, without the body.
func TestHeadIsGetWithoutTheBody(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	base := "http://" + serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b}))
	for _, path := range []string{"/health", "/health/web", "/health/web?brief", "/health/nobody", "/health/live", "/health/ready", "/health/started", "/actuator/health",
		"/actuator/health/web", "/actuator/health/liveness", "/actuator/health/readiness", "/livez", "/livez?verbose", "/readyz", "/readyz?verbose", "/readyz/web",
		"/readyz/nobody", "/-/healthy", "/-/ready", "/health/by-port/8080", "/health/by-port/8081", "/"} {
		got, body := get(t, "GET", base+path)
		head, empty := get(t, "HEAD", base+path)
		if head.StatusCode != got.StatusCode || empty != "" || head.ContentLength != int64(len(body)) ||
			head.Header.Get("Content-Type") != got.Header.Get("Content-Type") || head.Header.Get("Retry-After") != got.Header.Get("Retry-After") {
			t.Errorf("%s: GET %d with %d bytes, HEAD %d with length %d and headers %v", path, got.StatusCode, len(body), head.StatusCode, head.ContentLength, head.Header)
		}
	}
}

// A service may be called as one of our own words from before there were such words: then it is what is meant.
func TestAServiceGoesBeforeAWordOfOurs(t *testing.T) {
	var s healthd.Snapshot
	for _, name := range []string{"live", "liveness", "readiness", "ready", "started"} {
		s.Services = append(s.Services, healthd.Service{Name: name, Status: healthd.Fail, Weight: 100})
	}
	h := NewHTTP(HTTPSettings{Source: frozen{&s}, Tokens: []string{token}})
	for path, want := range map[string]string{
		"/health/live": `"serviceId":"live"`, "/health/ready": `"serviceId":"ready"`, "/health/started": `"serviceId":"started"`,
		"/actuator/health/liveness": `"status":"DOWN"`, "/actuator/health/readiness": `"verdict":"fail"`,
	} {
		if w := tell(t, h, path, "", true); w.Code != 503 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for path, want := range map[string]int{"/livez": 200, "/-/healthy": 200} {
		if w := tell(t, h, path, "", true); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// The whole instance is as its gravest service; one that people took out does not count, unless all are.
func TestWholeInstance(t *testing.T) {
	b := board(t)
	url := "http://" + serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b})) + "/health?drain=404"
	for _, step := range []struct {
		name string
		do   func()
		code int
		body string
	}{
		{"web known, api not", func() { report(b, "web/app", healthd.OK, 1) }, 503, "starting"},
		{"all known", func() { report(b, "api/app", healthd.OK, 1) }, 200, `"web/app:responseTime"`},
		{"api fails", func() { report(b, "api/app", healthd.Refused, 3) }, 503, `"output":"api/app: seen refused"`},
		{"api drained", func() { order(t, b, "api", healthd.Drain, "broken") }, 200, `"status":"pass"`},
		{"all drained while one fails", func() { order(t, b, "", healthd.Drain, "term") }, 503, `"notes":["drain: term"]`},
		{"all drained", func() { report(b, "api/app", healthd.OK, 2) }, 404, `"notes":["drain: term"]`},
	} {
		step.do()
		if resp, body := get(t, "GET", url); resp.StatusCode != step.code || !strings.Contains(body, step.body) {
			t.Errorf("%s: %d %s", step.name, resp.StatusCode, body)
		}
	}
}

// foreign returns an address of this host that is not loopback.
func foreign(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	peertest.Missing(t, "this host has no address but loopback; give it one")
	return ""
}

// By the name of a check, or by what is left when it is excluded, a stranger could guess what there is and how it is.
func TestStrangersNameNoChecks(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	report(b, "api/app", healthd.Refused, 3)
	h := NewHTTP(HTTPSettings{Source: b, Tokens: []string{token}})
	for path, want := range map[string]int{
		"/readyz": 503, "/readyz/web": 200, "/readyz/api": 503, "/readyz?exclude=api": 503, "/readyz?verbose&exclude=api/app": 503, "/readyz/web?exclude=web/app": 200,
		"/readyz/web/app": 404, "/readyz/api/app": 404, "/readyz/web/nothing": 404, "/readyz/nobody": 404,
	} {
		w := tell(t, h, path, "", false)
		if w.Code != want || strings.Contains(w.Body.String(), "app") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if a, b := tell(t, h, "/readyz/web/app", "", false).Body.String(), tell(t, h, "/readyz/nobody", "", false).Body.String(); a != b {
		t.Errorf("a check that is there: %q, and one that is not: %q", a, b)
	}
	if w := tell(t, h, "/readyz?exclude=api", "", true); w.Code != 200 {
		t.Errorf("an insider: %d", w.Code)
	}
}

// Strangers make nobody print: what they read is printed once a state.
func TestStrangersReadWhatIsPrinted(t *testing.T) {
	s := crowd(100, 100)
	h := NewHTTP(HTTPSettings{Source: frozen{s}, Tokens: []string{token}})
	one := "/readyz/" + s.Services[0].Name
	for _, path := range []string{"/readyz?verbose&exclude=x", one + "?verbose", one + "/" + s.Services[0].Checks[0].Name} {
		tell(t, h, path, "", false)
		if n := testing.AllocsPerRun(5, func() { tell(t, h, path, "", false) }); n > 100 {
			t.Errorf("%s: %.0f allocations", path, n)
		}
	}
}

func TestKubernetesForms(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	report(b, "api/app", healthd.Refused, 3)
	base := "http://" + serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b}))
	for path, want := range map[string]struct {
		code int
		body string
	}{
		"/livez":                          {200, "ok"},
		"/livez?verbose":                  {200, "[+]ping ok\nlivez check passed\n"},
		"/readyz":                         {503, "[+]ping ok\n[-]api/app failed: seen refused\n[+]web/app ok\n[-]web/orders failed: not measured yet\nreadyz check failed\n"},
		"/readyz?exclude=api/app":         {200, "ok"},
		"/readyz?exclude=api":             {200, "ok"},
		"/readyz?verbose&exclude=api/app": {200, "[+]ping ok\n[+]api/app excluded: ok\n[+]web/app ok\n[-]web/orders failed: not measured yet\nreadyz check passed\n"},
		"/readyz?exclude=nobody":          {503, "readyz check failed"},
		"/readyz?exclude=" + strings.Repeat("&exclude=x", 65): {400, "more than 64 exclusions"},
	} {
		resp, body := get(t, "GET", base+path)
		if resp.StatusCode != want.code || !strings.Contains(body, want.body) {
			t.Errorf("%s: %d\n%s", path, resp.StatusCode, body)
		}
	}
	for path, want := range map[string]struct {
		code int
		body string
	}{
		"/livez/ping":                  {200, "ok"},
		"/readyz/ping":                 {200, "ok"},
		"/readyz/web":                  {200, "ok"},
		"/readyz/web?verbose":          {200, "[+]ping ok\n[+]web/app ok\n[-]web/orders failed: not measured yet\nreadyz check passed\n"},
		"/readyz/web/app":              {200, "ok"},
		"/readyz/web/orders":           {503, "[+]ping ok\n[-]web/orders failed: not measured yet\nreadyz check failed\n"},
		"/readyz/api/app":              {503, "[-]api/app failed: seen refused\n"},
		"/readyz/nobody":               {404, "no such check here"},
		"/readyz/web/nothing":          {404, "no such check here"},
		"/readyz?verbose&exclude=nope": {503, "warn: some health checks cannot be excluded: no matches for nope\n"},
	} {
		if resp, body := get(t, "GET", base+path); resp.StatusCode != want.code || !strings.Contains(body, want.body) {
			t.Errorf("%s: %d\n%s", path, resp.StatusCode, body)
		}
	}
	order(t, b, "web", healthd.Drain, "")
	if resp, body := get(t, "GET", base+"/readyz/web"); resp.StatusCode != 503 || !strings.Contains(body, "[-]web/admin failed: drain\n") {
		t.Errorf("drained, alone: %d %s", resp.StatusCode, body)
	}
	if resp, _ := get(t, "GET", base+"/readyz/web/app"); resp.StatusCode != 200 {
		t.Errorf("a check of a drained service: %d", resp.StatusCode)
	}
	order(t, b, "", healthd.Drain, "")
	if resp, body := get(t, "GET", base+"/readyz?exclude=api"); resp.StatusCode != 503 || !strings.Contains(body, "[-]web/admin failed: drain\n") {
		t.Errorf("drained: %d %s", resp.StatusCode, body)
	}
}

func TestLongPollAnswersAtOnceWhenItsServiceChanges(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	h := NewHTTP(HTTPSettings{Source: b})
	url := "http://" + serving(t, "127.0.0.1:0", h) + "/health/web"
	type answer struct {
		code int
		tag  string
		took time.Duration
	}
	poll := func(after, wait string) answer {
		start := time.Now()
		resp, _ := get(t, "GET", url+"?after="+after+"&wait="+wait)
		return answer{resp.StatusCode, resp.Header.Get("Lbmedic-Generation"), time.Since(start)}
	}
	tag := b.Latest().Tag()
	_, number, _ := strings.Cut(tag, "-")
	if a := poll("0123abcd-"+number, "5s"); a.took > 2*time.Second || a.tag != tag {
		t.Errorf("a tag of another run: %+v", a)
	}
	if a := poll(tag, "30ms"); a.took < 30*time.Millisecond || a.code != 200 || a.tag != tag {
		t.Errorf("nothing happened: %+v", a)
	}
	got := make(chan answer)
	go func() { got <- poll(tag, "1h") }()
	waitFor(t, func() bool { return h.waiting.Load() == 1 })
	report(b, "api/app", healthd.Refused, 3) // another service's business
	select {
	case a := <-got:
		t.Fatalf("woken by another service: %+v", a)
	case <-time.After(50 * time.Millisecond):
	}
	changed := time.Now()
	report(b, "web/app", healthd.Refused, 3)
	a := <-got
	if a.code != 503 || a.tag != b.Latest().Tag() {
		t.Errorf("after the change: %+v", a)
	}
	if late := time.Since(changed); late > time.Second {
		t.Errorf("the change took %s", late)
	}
}

func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-deadline:
			t.Fatal("waited 10 s in vain")
		case <-tick.C:
		}
	}
}

func TestLongPollEndsWithItsCaller(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	h := NewHTTP(HTTPSettings{Source: b})
	url := "http://" + serving(t, "127.0.0.1:0", h) + "/health/web?wait=60s&after=" + b.Latest().Tag()
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
		if err == nil {
			_, err = caller("127.0.0.1").Do(req)
		}
		gone <- err
	}()
	waitFor(t, func() bool { return h.waiting.Load() == 1 })
	cancel()
	if err := <-gone; err == nil {
		t.Error("the caller that left has an answer")
	}
	waitFor(t, func() bool { return h.waiting.Load() == 0 })
}

func TestLongPollsAreBounded(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	h := NewHTTP(HTTPSettings{Source: b, Limits: Limits{Waiting: 3}})
	url := "http://" + serving(t, "127.0.0.1:0", h) + "/health/web?wait=60s&after=" + b.Latest().Tag()
	var polls sync.WaitGroup
	for range 3 {
		polls.Go(func() {
			if resp, _ := get(t, "GET", url); resp.StatusCode != 503 {
				t.Errorf("woken with %d", resp.StatusCode)
			}
		})
	}
	waitFor(t, func() bool { return h.waiting.Load() == 3 })
	start := time.Now()
	if resp, _ := get(t, "GET", url); resp.StatusCode != 200 || time.Since(start) > 5*time.Second {
		t.Errorf("one too many: %d after %s", resp.StatusCode, time.Since(start))
	}
	order(t, b, "web", healthd.Maint, "")
	polls.Wait()
}

func TestStopEndsLongPollsWithAnAnswer(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	h := NewHTTP(HTTPSettings{Source: b})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx, l) }()
	answered := make(chan int, 1)
	go func() {
		resp, _ := get(t, "GET", "http://"+l.Addr().String()+"/health/web?wait=60s&after="+b.Latest().Tag())
		answered <- resp.StatusCode
	}()
	waitFor(t, func() bool { return h.waiting.Load() == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if code := <-answered; code != 200 {
		t.Errorf("answered %d", code)
	}
}

// A thousand connections that say nothing, or half a request, keep no probe of a balancer out.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	for name, c := range map[string]struct {
		sources []string
		limits  Limits
	}{
		"from loopback, beyond the limit in all":        {[]string{"127.0.0.1"}, Limits{Connections: 200}},
		"from many addresses, beyond the default limit": {[]string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}, Limits{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := board(t)
			report(b, "web/app", healthd.OK, 1)
			address := serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b, Limits: c.limits}))
			for i := range 1000 {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.sources[i%len(c.sources)])}}
				conn, err := d.DialContext(t.Context(), "tcp", address)
				if err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				defer conn.Close()
				if i%2 == 0 {
					_, _ = io.WriteString(conn, "GET /health/web HTTP/1.1\r\nX-Slow: ") // one that was closed for a newer one says so
				}
			}
			var took []time.Duration
			for range 50 {
				start := time.Now()
				if resp, body := get(t, "GET", "http://"+address+"/health/web"); resp.StatusCode != 200 {
					t.Fatalf("%d %s", resp.StatusCode, body)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			t.Logf("50 probes beside 1000 silent connections: median %s, worst %s", took[25], took[49])
			if took[25] > time.Second { // the machine may be slow, and each of them was answered
				t.Errorf("the median is %s", took[25])
			}
		})
	}
}

func TestOneAddressCannotTakeAllPlaces(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	l, err := net.Listen("tcp", foreign(t)+":0")
	if err != nil {
		t.Fatal(err)
	}
	g := guard(l, Limits{PerAddress: 4})
	h := NewHTTP(HTTPSettings{Source: b})
	until(t, func(ctx context.Context) error { return h.run(ctx, g) })
	idle := func() (n int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for c := range g.open {
			if c.phase.Load() == idling {
				n++
			}
		}
		return n
	}
	var conns []net.Conn
	for range 5 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if conns = append(conns, c); len(conns) == 5 {
			break
		}
		if _, err := io.WriteString(c, "GET /health/web HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		waitFor(t, func() bool { return idle() == len(conns) })
	}
	if err := conns[0].SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conns[0]); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("the oldest of five is still open: %v", err)
	}
}

func TestHeadsAreBounded(t *testing.T) {
	b := board(t)
	address := serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b}))
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /health HTTP/1.1\r\nHost: x\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 16<<10))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v, %v", resp, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "warn=429&drain=404", "after=abc-1&wait=30s", "after=abc-1&wait=-5h", "wait=1s", "%", "after=a-1&wait=99999999h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		a, p, err := parse(query)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%q: an error of two lines: %v", query, err)
			}
			return
		}
		if a.warn != 200 && a.warn != 429 || a.out != 503 && a.out != 404 || p.wait > MaxWait {
			t.Errorf("%q: %+v, %+v", query, a, p)
		}
	})
}
