package healthd

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func stack() *Snapshot {
	return Restart(&Snapshot{Instance: "abc", Services: []Service{
		{Name: "web", Address: "127.0.0.1:8080", Checks: []Check{
			{Name: "orders", Kind: "tcp", Impact: Degrade, MaxAge: 7 * time.Second},
			{Name: "app", Kind: "http", MaxAge: 7 * time.Second},
		}},
		{Name: "api", Checks: []Check{{Name: "app", Kind: "http"}}},
	}}, nil, t0)
}

// after steps a check of web by one class a second.
func after(s *Snapshot, service, check, outcomes string) *Snapshot {
	svc, _ := s.Service(service)
	c, _ := svc.Check(check)
	v, at := c.Verdict, s.At
	for i := range outcomes {
		at = at.Add(time.Second)
		v = v.Step(NewOutcome(at, 0, letters[outcomes[i]], "seen "+outcomes[i:i+1]), Rule{})
		s = s.Update([]Change{{Service: service, Check: check, Verdict: v}}, at)
	}
	return s
}

func status(t *testing.T, s *Snapshot, service string) string {
	t.Helper()
	svc, ok := s.Service(service)
	if !ok {
		t.Fatalf("no service %s", service)
	}
	if svc.Stale {
		return svc.Status.String() + ", stale"
	}
	return svc.Status.String()
}

func TestServiceIsUnknownUntilItsRequiredChecksAre(t *testing.T) {
	s := stack()
	if s.Settled() || status(t, s, "web") != "unknown" {
		t.Errorf("at the start: %s, settled %v", status(t, s, "web"), s.Settled())
	}
	s = after(s, "web", "orders", ".")
	if got := status(t, s, "web"); got != "unknown" {
		t.Errorf("with only a dependency measured: %s", got)
	}
	s = after(s, "web", "app", ".")
	if got := status(t, s, "web"); got != "pass" || s.Settled() {
		t.Errorf("measured: %s, settled %v", got, s.Settled())
	}
	if s = after(s, "api", "app", "xxx"); !s.Settled() || status(t, s, "api") != "fail" {
		t.Errorf("all known: %s, settled %v", status(t, s, "api"), s.Settled())
	}
}

// The own fault of one check must not keep the others from being heard of.
func TestFirstRoundIsOverOnceEachRequiredCheckWasTried(t *testing.T) {
	s := after(stack(), "web", "app", ".")
	if s.Settled() {
		t.Error("settled although api was never tried")
	}
	g := s.Generation
	if s = after(s, "api", "app", "?"); !s.Settled() || status(t, s, "api") != "unknown" || s.Generation != g+1 {
		t.Errorf("api could not be measured: %s, settled %v, generation %d was %d", status(t, s, "api"), s.Settled(), s.Generation, g)
	}
	if s = Restart(stack(), s, s.At); s.Settled() {
		t.Error("settled after a restart")
	}
}

func TestGenerationGrowsWithVerdictsAndNotWithDetails(t *testing.T) {
	s := after(stack(), "web", "app", "..")
	g, web := s.Generation, s.Services[1].Generation
	if web == s.Services[0].Generation {
		t.Error("a change of web is one of api too")
	}
	if s = after(s, "web", "app", "..x."); s.Generation != g {
		t.Errorf("grew from %d to %d without a change of verdict", g, s.Generation)
	}
	c, _ := s.Services[1].Check("app")
	if c.Verdict.Last.At != s.At {
		t.Error("the details stand still")
	}
	if s = after(s, "web", "app", "xxx"); s.Generation != g+1 {
		t.Errorf("generation %d after a change, was %d", s.Generation, g)
	}
	if b := s.Services[1].Blame(); b == nil || b.Name != "app" {
		t.Errorf("blames %v", b)
	}
	if instance, n, err := ParseTag(s.Tag()); err != nil || instance != "abc" || n != g+1 {
		t.Errorf("tag %s: %s, %d, %v", s.Tag(), instance, n, err)
	}
}

func TestChecksThatCannotBeMadeGoStaleAndNeverFail(t *testing.T) {
	s := after(stack(), "web", "app", "..")
	s = after(s, "web", "app", "???????")
	if got := status(t, s, "web"); got != "pass" {
		t.Errorf("after 7 s: %s", got)
	}
	g := s.Generation
	if s = after(s, "web", "app", "?"); status(t, s, "web") != "pass, stale" || s.Generation != g+1 {
		t.Errorf("after 8 s: %s, generation %d was %d", status(t, s, "web"), s.Generation, g)
	}
	if s = after(s, "web", "app", "."); status(t, s, "web") != "pass" {
		t.Errorf("measured again: %s", status(t, s, "web"))
	}
}

// What nobody can look at any more is nothing to rely on, and no failure: its service warns until it is measured again.
func TestRequiredCheckThatIsNotMeasuredForLongWarns(t *testing.T) {
	unmade := strings.Repeat("?", int(MaxStale/time.Second))
	s := after(after(stack(), "web", "app", "..???????"), "web", "app", unmade)
	if status(t, s, "web") != "pass, stale" {
		t.Errorf("a minute late: %s", status(t, s, "web"))
	}
	if s = after(s, "web", "app", "?"); status(t, s, "web") != "warn, stale" {
		t.Errorf("a second later: %s", status(t, s, "web"))
	}
	if web, _ := s.Service("web"); web.Blame() == nil || web.Blame().Name != "app" {
		t.Errorf("blamed: %+v", web.Blame())
	}
	if s = after(s, "web", "app", "."); status(t, s, "web") != "pass" {
		t.Errorf("measured again: %s", status(t, s, "web"))
	}
	for _, impact := range []Impact{Degrade, Inform} {
		c := Check{Impact: impact, Blind: true, Verdict: Verdict{Status: Pass}}
		if c.counts() != Pass {
			t.Errorf("a blind check of impact %s counts as %s", impact, c.counts())
		}
	}
	if c := (Check{Blind: true, Verdict: Verdict{Status: Fail}}); c.counts() != Fail {
		t.Errorf("a blind check that failed counts as %s", c.counts())
	}
}

// A new check that cannot be made, beside one that failed, must not hold the service in a failure that is over.
func TestFailureEndsWithTheCheckThatFailed(t *testing.T) {
	old := after(after(stack(), "web", "app", "xxx"), "web", "orders", ".")
	fresh := stack()
	fresh.Services[1].Checks = append(fresh.Services[1].Checks, Check{Name: "new", Kind: "tcp"})
	s := after(Restart(fresh, old, old.At), "web", "new", "?")
	for _, step := range []struct{ check, outcomes, want string }{
		{"app", ".", "fail, stale"},
		{"app", ".", "pass, stale"},
		{"orders", "xxx", "warn, stale"},
		{"app", "xxx", "fail"},
		{"app", "..", "warn, stale"},
		{"new", ".", "warn"},
	} {
		if s = after(s, "web", step.check, step.outcomes); status(t, s, "web") != step.want {
			t.Errorf("after %s of %s: %s, want %s", step.outcomes, step.check, status(t, s, "web"), step.want)
		}
	}
	fresh = stack()
	fresh.Services[1].Checks[0].Target = "elsewhere" // app, the one required check
	if s = after(Restart(fresh, old, old.At), "web", "orders", "."); status(t, s, "web") != "fail, stale" {
		t.Errorf("with only a dependency measured: %s", status(t, s, "web"))
	}
}

func TestOutdateMarksOnlyWhatIsTooOld(t *testing.T) {
	s := after(after(stack(), "web", "app", "."), "api", "app", ".") // what is measured of api may be of any age
	if s.Outdate(s.At) != s {
		t.Error("changed although all is fresh")
	}
	before := fmt.Sprintf("%+v", *s)
	next := s.Outdate(s.At.Add(8 * time.Second))
	web, _ := next.Service("web")
	if status(t, next, "web") != "pass, stale" || status(t, next, "api") != "pass" || next.Generation != s.Generation+1 || web.Generation != next.Generation {
		t.Errorf("after 8 s: %+v", next)
	}
	late := next.Outdate(next.At.Add(MaxStale))
	if blind, _ := late.Service("web"); status(t, late, "web") != "warn, stale" || !blind.Checks[0].Blind || late.Generation != next.Generation+1 || late.Outdate(late.At) != late {
		t.Errorf("a minute later: %+v", late)
	}
	if orders, _ := web.Check("orders"); orders.Stale {
		t.Error("what was never measured is stale")
	}
	if fmt.Sprintf("%+v", *s) != before || next.Outdate(next.At) != next {
		t.Error("the published snapshot was modified, or marked twice")
	}
}

func TestRestartServesTheLastSnapshotAsStale(t *testing.T) {
	old := after(after(stack(), "web", "app", "..xx"), "api", "app", "xxx")
	raw, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	var read *Snapshot
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(old, read) {
		t.Errorf("from disk:\n%+v\nwant\n%+v", read, old)
	}
	fresh := stack()
	fresh.Instance = "def"
	fresh.Services[1].Checks = append(fresh.Services[1].Checks, Check{Name: "new", Kind: "tcp"})
	now := old.At.Add(MaxStale)
	s := Restart(fresh, read, now)
	if status(t, s, "web") != "pass, stale" || status(t, s, "api") != "fail, stale" || s.Settled() {
		t.Fatalf("web %s, api %s, settled %v", status(t, s, "web"), status(t, s, "api"), s.Settled())
	}
	if s.Instance != "def" || s.Generation <= old.Generation {
		t.Errorf("tag %s after %s", s.Tag(), old.Tag())
	}
	if s = after(s, "web", "new", "."); status(t, s, "web") != "pass, stale" {
		t.Errorf("new measured, app not: %s", status(t, s, "web"))
	}
	if s = after(s, "web", "app", "?"); status(t, s, "web") != "pass, stale" {
		t.Errorf("app could not be measured: %s", status(t, s, "web"))
	}
	// The two failures from before the gap do not count; but one that contradicts what was brought over leaves it stale, for
	// the last word before the restart may have been another.
	if s = after(s, "web", "app", "x"); status(t, s, "web") != "pass, stale" {
		t.Errorf("app contradicted: %s", status(t, s, "web"))
	}
	if s = after(s, "web", "app", "."); status(t, s, "web") != "pass" {
		t.Errorf("app confirmed: %s", status(t, s, "web"))
	}
	if s.Settled() {
		t.Error("settled although api was not measured yet")
	}
	if s = after(s, "api", "app", "."); status(t, s, "api") != "fail, stale" || !s.Settled() {
		t.Errorf("api contradicted: %s, settled %v", status(t, s, "api"), s.Settled())
	}
	if s = after(s, "api", "app", "."); status(t, s, "api") != "pass" {
		t.Errorf("api after rise: %s", status(t, s, "api"))
	}
}

func TestRestartForgetsWhatIsTooOldOrFromTheFuture(t *testing.T) {
	old := after(stack(), "web", "app", "..")
	for name, now := range map[string]time.Time{"too old": old.At.Add(MaxStale + 1), "future": old.At.Add(-time.Second)} {
		if s := Restart(stack(), old, now); status(t, s, "web") != "unknown" {
			t.Errorf("%s: %s", name, status(t, s, "web"))
		}
	}
	for name, c := range map[string]struct{ before, now, want string }{
		"another boot": {"a", "b", "unknown"}, "the same boot": {"a", "a", "pass, stale"}, "from before boots were noted": {"", "b", "pass, stale"}, "nobody can tell": {"a", "", "pass, stale"},
	} {
		fresh := stack()
		old.Boot, fresh.Boot = c.before, c.now
		if s := Restart(fresh, old, old.At); status(t, s, "web") != c.want || s.Boot != c.now {
			t.Errorf("%s: %s", name, status(t, s, "web"))
		}
	}
	fresh := stack()
	fresh.Services[1].Checks[0].Target = "elsewhere" // app
	s := Restart(fresh, old, old.At)
	if c, _ := s.Services[1].Check("app"); c.Verdict.Status != Unknown {
		t.Errorf("a check of another target inherited %s", c.Verdict.Status)
	}
}

func TestServiceThatLostItsChecksPasses(t *testing.T) {
	old := after(after(stack(), "web", "app", "xxx"), "api", "app", "xxx")
	fresh := stack()
	fresh.Services[0].Checks = nil // api's
	s := Restart(fresh, old, old.At)
	if status(t, s, "api") != "pass" || status(t, s, "web") != "fail, stale" {
		t.Errorf("api %s, web %s", status(t, s, "api"), status(t, s, "web"))
	}
}

func TestOrderIsForOneService(t *testing.T) {
	s := stack()
	next, ok := s.Order("web", Admin{State: Drain, Reason: "deploy"}, t0)
	if web, _ := next.Service("web"); !ok || web.Admin.State != Drain || next.Generation != s.Generation+1 || web.Generation != next.Generation {
		t.Errorf("got %+v, %v", web, ok)
	}
	if web, _ := s.Service("web"); web.Admin.State != Ready {
		t.Error("the published snapshot was modified")
	}
	if _, ok := s.Order("nobody", Admin{State: Drain}, t0); ok {
		t.Error("an order for nobody was taken")
	}
}

// Whatever happens: a published snapshot never changes, the generation never falls, and grows exactly when a status or a mark did change;
// a known service never becomes unknown.
func TestSnapshotsAreImmutableAndCounted(t *testing.T) {
	view := func(s *Snapshot) string {
		text := ""
		for _, v := range s.Services {
			text += fmt.Sprintln(v.Name, v.Status, v.Stale)
			for _, c := range v.Checks {
				text += fmt.Sprintln("-", c.Name, c.Verdict.Status, c.Stale, c.Blind, c.Brought, c.Awaited)
			}
		}
		return text
	}
	rapid.Check(t, func(t *rapid.T) {
		s := stack()
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			before := fmt.Sprintf("%+v", *s)
			service := rapid.SampledFrom([]string{"web", "api", "nobody"}).Draw(t, "service")
			check := rapid.SampledFrom([]string{"app", "orders"}).Draw(t, "check")
			outcome := rapid.SampledFrom([]string{".", "w", "x", "?"}).Draw(t, "outcome")
			var v Verdict
			if svc, ok := s.Service(service); ok {
				if c, ok := svc.Check(check); ok {
					v = c.Verdict
				}
			}
			at := s.At.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "seconds")) * time.Second)
			next := s.Update([]Change{{Service: service, Check: check, Verdict: v.Step(NewOutcome(at, 0, letters[outcome[0]], ""), Rule{})}}, at)
			if now := fmt.Sprintf("%+v", *s); now != before {
				t.Fatalf("modified from\n%s\nto\n%s", before, now)
			}
			if changed := view(s) != view(next); changed != (next.Generation == s.Generation+1) || !changed && next.Generation != s.Generation {
				t.Fatalf("generation %d to %d, changed %v:\n%s%s", s.Generation, next.Generation, changed, view(s), view(next))
			}
			for i := range s.Services {
				if s.Services[i].Status != Unknown && next.Services[i].Status == Unknown {
					t.Fatalf("%s became unknown", s.Services[i].Name)
				}
			}
			s = next
		}
	})
}

func FuzzParseTag(f *testing.F) {
	for _, seed := range []string{"abc-1", "", "-", "a-", "-1", "a-b-1", "a--1", "0-18446744073709551615", "x\n-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		instance, n, err := ParseTag(tag)
		if err != nil {
			return
		}
		again := (&Snapshot{Instance: instance, Generation: n}).Tag()
		if i, m, err := ParseTag(again); err != nil || i != instance || m != n || strings.ContainsAny(again, "\r\n ") {
			t.Errorf("%q became %q", tag, again)
		}
	})
}

func TestWordsRoundTrip(t *testing.T) {
	for _, s := range []Status{Unknown, Pass, Warn, Fail} {
		if got, err := ParseStatus(s.String()); err != nil || got != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, a := range []AdminState{Ready, Drain, Maint} {
		if got, err := ParseAdminState(a.String()); err != nil || got != a {
			t.Errorf("%s: %v, %v", a, got, err)
		}
	}
	var c Class
	var i Impact
	if c.UnmarshalText([]byte("nonsense")) == nil || i.UnmarshalText([]byte("nonsense")) == nil {
		t.Error("nonsense was read")
	}
}
