package healthd

import (
	"testing"

	"pgregory.net/rapid"
)

func one(i Impact, s Status) Check { return Check{Impact: i, Verdict: Verdict{Status: s}} }

func TestRollup(t *testing.T) {
	for name, c := range map[string]struct {
		checks []Check
		want   Status
	}{
		"no checks":                           {nil, Pass},
		"all pass":                            {[]Check{one(Required, Pass), one(Degrade, Pass), one(Inform, Pass)}, Pass},
		"required fails":                      {[]Check{one(Required, Fail), one(Degrade, Pass)}, Fail},
		"dependency fails":                    {[]Check{one(Required, Pass), one(Degrade, Fail)}, Warn},
		"information fails":                   {[]Check{one(Required, Pass), one(Inform, Fail)}, Pass},
		"required warns":                      {[]Check{one(Required, Warn)}, Warn},
		"required not measured":               {[]Check{one(Required, Unknown), one(Required, Pass)}, Unknown},
		"required not measured, another dead": {[]Check{one(Required, Unknown), one(Required, Fail)}, Fail},
		"dependency not measured":             {[]Check{one(Required, Pass), one(Degrade, Unknown)}, Pass},
		"nothing measured":                    {[]Check{one(Degrade, Unknown), one(Inform, Unknown)}, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Rollup(c.checks); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// One check that gets worse never makes its service better, and only a required one can fail it.
func TestRollupIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Check {
			return one(rapid.SampledFrom([]Impact{Required, Degrade, Inform}).Draw(t, "impact"), rapid.SampledFrom([]Status{Pass, Warn, Fail}).Draw(t, "status"))
		}), 1, 8).Draw(t, "checks")
		before := Rollup(checks)
		i := rapid.IntRange(0, len(checks)-1).Draw(t, "which")
		checks[i].Verdict.Status = rapid.SampledFrom([]Status{Warn, Fail}).Filter(func(s Status) bool { return s >= checks[i].Verdict.Status }).Draw(t, "worse")
		after := Rollup(checks)
		if Worse(before, after) != after {
			t.Fatalf("from %s to %s as a check got worse", before, after)
		}
		if after == Fail && before != Fail && checks[i].Impact != Required {
			t.Fatalf("a check of impact %s failed its service", checks[i].Impact)
		}
	})
}
