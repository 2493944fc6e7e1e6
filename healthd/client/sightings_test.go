package client

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// sibling serves a snapshot as a sidecar does.
type sibling struct {
	serve.Source
	s *healthd.Snapshot
}

func (s sibling) Latest() *healthd.Snapshot { return s.s }

func TestASiblingIsAskedWhatItSees(t *testing.T) {
	now := time.Now()
	v := func(class healthd.Class, ago time.Duration) healthd.Verdict {
		o := healthd.NewOutcome(now.Add(-ago), time.Millisecond, class, "")
		return healthd.Verdict{}.Step(o, healthd.Rule{Rise: 1, Fall: 1})
	}
	s := &healthd.Snapshot{Instance: "abc", Generation: 3, At: now, Services: []healthd.Service{{Name: "web", Status: healthd.Pass, Checks: []healthd.Check{
		{Name: "cache", Kind: "redis", Target: "10.0.0.9:6379", Shared: true, Verdict: v(healthd.Refused, time.Second)},
		{Name: "own", Kind: "tcp", Target: "127.0.0.1:80", Verdict: v(healthd.OK, 0)},
		{Name: "db", Kind: "postgres", Target: "postgres://u:p@db:5432/x", Shared: true, Verdict: v(healthd.OK, 2*time.Second)},
	}}}}
	server := httptest.NewServer(serve.NewHTTP(serve.HTTPSettings{Source: sibling{s: s}}))
	defer server.Close()
	seen, err := New(Settings{}).Sightings(t.Context(), server.URL+"/health/web")
	if err != nil {
		t.Fatal(err)
	}
	if seen.Instance != "abc" || len(seen.Sightings) != 2 {
		t.Fatalf("got %+v", seen)
	}
	for _, got := range seen.Sightings {
		switch got.Dependency {
		case healthd.Digest(healthd.Dependency("redis", "10.0.0.9:6379")):
			if got.Status != healthd.Fail || got.Age < time.Second || got.Age > time.Minute {
				t.Errorf("the cache is seen as %+v", got)
			}
		case healthd.Digest(healthd.Dependency("postgres", "postgres://other:secret@db:5432/x")):
			if got.Status != healthd.Pass || got.Age < 2*time.Second {
				t.Errorf("the database is seen as %+v", got)
			}
		default:
			t.Errorf("unknown %+v", got)
		}
	}
	if _, err := New(Settings{}).Sightings(t.Context(), server.URL+"/health/shop"); err == nil {
		t.Error("a service that is not there is an answer")
	}
}

func TestWhatIsNoAnswerOfASiblingIsAnError(t *testing.T) {
	tag, kind := http.Header{"Lbmedic-Generation": {"abc-1"}, "Content-Type": {"application/json"}}, "application/json"
	for name, c := range map[string]struct {
		code   int
		header http.Header
		body   string
	}{
		"no generation":       {200, http.Header{"Content-Type": {kind}}, "[]"},
		"a bad generation":    {200, http.Header{"Lbmedic-Generation": {"x y"}, "Content-Type": {kind}}, "[]"},
		"health, no list":     {200, http.Header{"Lbmedic-Generation": {"abc-1"}, "Content-Type": {"application/health+json"}}, "{}"},
		"an error":            {503, tag, "[]"},
		"no JSON":             {200, tag, "<html>"},
		"an unknown status":   {200, tag, `[{"dependency":"a","status":"fine","age":"1s"}]`},
		"a negative age":      {200, tag, `[{"dependency":"a","status":"pass","age":"-1s"}]`},
		"a dependency of \\n": {200, tag, `[{"dependency":"a\nb","status":"pass","age":"1s"}]`},
		"no dependency":       {200, tag, `[{"status":"pass","age":"1s"}]`},
		"endless":             {200, tag, "[" + strings.Repeat(" ", MaxBody) + "]"},
		"too many":            {200, tag, "[" + strings.Repeat(`{"dependency":"a","status":"pass"},`, healthd.MaxSightings) + `{"dependency":"b","status":"pass"}]`},
	} {
		if seen, err := parseSeen(c.code, c.header, []byte(c.body)); err == nil {
			t.Errorf("%s: taken for %+v", name, seen)
		}
	}
}

func FuzzSeen(f *testing.F) {
	for _, seed := range []string{"[]", "null", `[{"dependency":"sha256-00","status":"pass","age":"1.2s"}]`, `[{"dependency":"a","status":"fail","age":5}]`,
		`[{"dependency":"a","status":"unknown","age":"0s"},{"dependency":"a","status":"fail","age":"9h"}]`, `{"status":"pass"}`, "[{}]"} {
		f.Add([]byte(seed))
	}
	header := http.Header{"Lbmedic-Generation": {"abc-1"}, "Content-Type": {"application/json"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		seen, err := parseSeen(http.StatusOK, header, body)
		if err != nil {
			return
		}
		if len(seen.Sightings) > healthd.MaxSightings {
			t.Fatalf("%d sightings", len(seen.Sightings))
		}
		once := map[string]bool{}
		for _, s := range seen.Sightings {
			if s.Dependency == "" || s.Age < 0 || once[s.Dependency] || s.Dependency != healthd.Line(s.Dependency, len(s.Dependency)) {
				t.Fatalf("taken: %+v", s)
			}
			once[s.Dependency] = true
		}
	})
}
