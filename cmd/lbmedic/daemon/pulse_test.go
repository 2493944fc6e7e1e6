package daemon

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// The watchdog is fed in time while the board has its turns, and not at all once it hangs, however well our timers run.
func TestTheWatchdogHearsOnlyOfABoardThatHasItsTurns(t *testing.T) {
	for name, watch := range map[string]time.Duration{"the unit's 30 s": 30 * time.Second, "a short one": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				const hangs = 5 * time.Minute
				var fed []time.Duration
				p := pulse{watch: watch, status: func() string { return "fine" },
					alive: func(now time.Time) bool { // it has a turn each second, until it hangs
						return now.Sub(begun.Add(min(now.Sub(begun), hangs).Truncate(time.Second))) < hung
					},
					tell: func(state ...string) {
						if slices.Contains(state, "WATCHDOG=1") {
							fed = append(fed, time.Since(begun))
						}
					}}
				ctx, cancel := contextFor(t, 10*time.Minute)
				defer cancel()
				if err := p.run(ctx); err != nil {
					t.Fatal(err)
				}
				last := time.Duration(0)
				for _, at := range fed {
					if at-last > watch/2 {
						t.Errorf("fed at %s and then at %s, with a watchdog of %s", last, at, watch)
					}
					last = at
				}
				if last < hangs-watch/2 || last > hangs+hung {
					t.Errorf("last fed at %s, and the board hung from %s on", last, hangs)
				}
			})
		})
	}
}

func TestSystemdHearsAStatusOnceAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		status := func() string {
			if time.Since(begun) < 4500*time.Millisecond {
				return "12 checks: 12 pass"
			}
			return "12 checks: 11 pass 1 warn"
		}
		var told []string
		p := pulse{status: status, tell: func(state ...string) { told = append(told, state...) }}
		ctx, cancel := contextFor(t, 10*time.Second)
		defer cancel()
		if err := p.run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []string{"STATUS=12 checks: 12 pass", "STATUS=12 checks: 11 pass 1 warn"}; !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}

func TestTheStatusLineCountsChecks(t *testing.T) {
	check := func(name string, s healthd.Status) healthd.Check {
		return healthd.Check{Name: name, Verdict: healthd.Verdict{Status: s}}
	}
	for want, s := range map[string]healthd.Snapshot{
		"0 checks":        {},
		"1 check: 1 pass": {Services: []healthd.Service{{Name: "a", Checks: []healthd.Check{check("x", healthd.Pass)}}}},
		"3 checks: 1 pass 1 fail 1 unknown, web drain": {Services: []healthd.Service{
			{Name: "web", Admin: healthd.Admin{State: healthd.Drain}, Checks: []healthd.Check{check("x", healthd.Pass), check("y", healthd.Unknown)}},
			{Name: "zip", Checks: []healthd.Check{check("x", healthd.Fail)}}}},
	} {
		if got := checksLine(&s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
