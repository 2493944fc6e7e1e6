package healthd

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func member(name, group string, need int, i Impact, s Status) Check {
	return Check{Name: name, Group: group, Need: need, Impact: i, Verdict: Verdict{Status: s}}
}

func TestGroups(t *testing.T) {
	r1, r2, r3 := func(s Status) Check { return member("r1", "replicas", 0, Required, s) },
		func(s Status) Check { return member("r2", "replicas", 2, Required, s) },
		func(s Status) Check { return member("r3", "replicas", 0, Required, s) }
	app := one(Required, Pass)
	for name, c := range map[string]struct {
		checks []Check
		want   Status
		blame  string
	}{
		"enough pass":                       {[]Check{app, r1(Pass), r2(Pass), r3(Fail)}, Pass, ""},
		"enough with one that warns":        {[]Check{app, r1(Pass), r2(Warn), r3(Fail)}, Warn, "r3"},
		"too few":                           {[]Check{app, r1(Pass), r2(Fail), r3(Fail)}, Fail, "r2"},
		"one not known":                     {[]Check{app, r1(Pass), r2(Unknown), r3(Fail)}, Unknown, ""},
		"one not known, enough pass":        {[]Check{app, r1(Pass), r2(Unknown), r3(Pass)}, Pass, ""},
		"need is 1 by default":              {[]Check{app, r1(Pass), r3(Fail)}, Pass, ""},
		"all of them fail":                  {[]Check{app, r1(Fail), r3(Fail)}, Fail, "r1"},
		"more are needed than there are":    {[]Check{app, member("a", "g", 9, Required, Pass), member("b", "g", 0, Required, Pass)}, Pass, ""},
		"and one of them fails":             {[]Check{app, member("a", "g", 9, Required, Pass), member("b", "g", 0, Required, Fail)}, Fail, "b"},
		"the gravest impact counts":         {[]Check{app, member("a", "g", 0, Inform, Fail), member("b", "g", 0, Degrade, Fail)}, Warn, "a"},
		"a dependency with a spare":         {[]Check{app, member("a", "g", 0, Degrade, Pass), member("b", "g", 0, Degrade, Fail)}, Pass, ""},
		"groups of one service are several": {[]Check{app, member("a", "g", 0, Required, Pass), member("b", "h", 0, Required, Fail)}, Fail, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Service{Checks: c.checks, Status: Rollup(c.checks)}
			if s.Status != c.want {
				t.Errorf("got %s, want %s", s.Status, c.want)
			}
			blamed := ""
			if b := s.Blame(); b != nil {
				blamed = b.Name
			}
			if blamed != c.blame {
				t.Errorf("blames %q, want %q", blamed, c.blame)
			}
		})
	}
}

func TestGroupIsOneStepAndAsSlowAsWhatSuffices(t *testing.T) {
	slow := func(need int, steps uint8, s Status) Check {
		return Check{Group: "caches", Need: need, Impact: Degrade, Verdict: Verdict{Status: s, Pace: Pace{Steps: steps}}}
	}
	for name, c := range map[string]struct {
		checks []Check
		want   int
	}{
		"a spare fails":       {[]Check{slow(1, 0, Pass), slow(1, 0, Fail)}, 100},
		"all fail":            {[]Check{slow(1, 0, Fail), slow(1, 0, Fail)}, 75},
		"a spare is slow":     {[]Check{slow(1, 0, Pass), slow(1, 3, Warn)}, 100},
		"both are needed":     {[]Check{slow(2, 0, Pass), slow(1, 2, Warn)}, 50},
		"the quick one fails": {[]Check{slow(1, 0, Fail), slow(1, 3, Warn)}, 25},
		"it is not known":     {[]Check{slow(1, 0, Unknown), slow(1, 2, Warn)}, 50},
		"one of two is there": {[]Check{slow(2, 0, Fail), slow(2, 1, Pass)}, 50},
		"the quicker two are": {[]Check{slow(2, 3, Pass), slow(1, 1, Warn), slow(1, 2, Warn)}, 50},
	} {
		if got := (&Service{Checks: c.checks}).weight(); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

// A group rests on what is stale only where the fresh ones do not suffice; and while it is unknown, the service is what the others make of it.
func TestGroupStaleAndUnknown(t *testing.T) {
	stale := func(c Check) Check { c.Stale = true; return c }
	a, b := member("a", "g", 0, Required, Pass), member("b", "g", 0, Required, Fail)
	for name, c := range map[string]struct {
		checks []Check
		want   string
	}{
		"the spare is stale":          {[]Check{a, stale(b)}, "pass"},
		"the one that passes is":      {[]Check{stale(a), b}, "pass, stale"},
		"both are":                    {[]Check{stale(a), stale(b)}, "pass, stale"},
		"one fails, the other is new": {[]Check{b, member("c", "g", 0, Required, Unknown), one(Required, Warn)}, "warn, stale"},
	} {
		s := Service{Status: Pass, Checks: c.checks}
		s.judge(t0)
		got := s.Status.String()
		if s.Stale {
			got += ", stale"
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// One check that gets worse never makes its service better, in whatever groups; and a group of one is that check.
func TestGroupsAreMonotone(t *testing.T) {
	statuses := []Status{Pass, Warn, Unknown, Fail} // by gravity
	rapid.Check(t, func(t *rapid.T) {
		checks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Check {
			return member("", rapid.SampledFrom([]string{"", "g", "h"}).Draw(t, "group"), rapid.IntRange(0, 4).Draw(t, "need"),
				rapid.SampledFrom([]Impact{Required, Degrade}).Draw(t, "impact"), rapid.SampledFrom(statuses).Draw(t, "status"))
		}), 1, 8).Draw(t, "checks")
		checks = append(checks, one(Required, Pass)) // so that something is known
		before := Rollup(checks)
		i := rapid.IntRange(0, len(checks)-1).Draw(t, "which")
		worse := rapid.SampledFrom(statuses).Filter(func(s Status) bool { return gravity[s] >= gravity[checks[i].Verdict.Status] }).Draw(t, "worse")
		if checks[i].Impact == Degrade && worse == Unknown {
			return // which means nothing there
		}
		checks[i].Verdict.Status = worse
		if after := Rollup(checks); Worse(before, after) != after && checks[i].Impact == Required {
			t.Fatalf("from %s to %s as a check got worse", before, after)
		}
		alone := make([]Check, len(checks))
		for j, c := range checks {
			c.Group, c.Need = "", 0
			alone[j] = c
		}
		groups := make([]Check, len(alone))
		for j, c := range alone {
			c.Group, c.Need = fmt.Sprint(j), 3
			groups[j] = c
		}
		if a, g := Rollup(alone), Rollup(groups); a != g {
			t.Fatalf("%s alone, %s as groups of one", a, g)
		}
	})
}
