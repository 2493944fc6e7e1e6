package healthd

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheGravestLeaseStandsUntilTheLastOfItsKindEnds(t *testing.T) {
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for name, c := range map[string]struct {
		leases Leases
		want   Admin
	}{
		"none": {},
		"one": {Leases{{Owner: "a", State: Drain, Reason: "x", Since: now, Until: in(time.Hour)}},
			Admin{State: Drain, Reason: "x", By: "a", Since: now, Until: in(time.Hour)}},
		"over": {leases: Leases{{Owner: "a", State: Drain, Until: now}}},
		"two": {Leases{{Owner: "a", State: Drain, Reason: "x", Since: now, Until: in(time.Hour)}, {Owner: "b", State: Drain, Reason: "y", Since: in(time.Second), Until: in(time.Minute)}},
			Admin{State: Drain, Reason: "x", By: "a, b", Since: now, Until: in(time.Hour)}},
		"one for ever": {Leases{{Owner: "a", State: Drain, Since: now, Until: in(time.Hour)}, {Owner: "b", State: Drain, Since: now}},
			Admin{State: Drain, By: "a, b", Since: now}},
		"one for ever, then another": {Leases{{Owner: "a", State: Drain, Since: now}, {Owner: "b", State: Drain, Since: now, Until: in(time.Hour)}},
			Admin{State: Drain, By: "a, b", Since: now}},
		"maint over drain": {Leases{{Owner: "a", State: Drain, Since: now}, {Owner: "b", State: Maint, Since: in(time.Second), Until: in(time.Minute)}},
			Admin{State: Maint, By: "b", Since: in(time.Second), Until: in(time.Minute)}},
		"drain after maint": {Leases{{Owner: "a", State: Drain, Since: now}, {Owner: "b", State: Maint, Since: now, Until: now}},
			Admin{State: Drain, By: "a", Since: now}},
	} {
		if got := c.leases.Admin(now); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// Whatever others take and give back, a service is out for as long as any owner wants it, and not a moment longer.
func TestNobodysLeaseIsCutShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
		var l Leases
		until := map[string]time.Time{} // the model: by owner
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			owner := fmt.Sprintf("o%d", rapid.IntRange(0, 4).Draw(t, "owner"))
			before, was := l, slices.Clone(l)
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				lease := Lease{Owner: owner, State: Drain, Since: now}
				if d := rapid.IntRange(0, 60).Draw(t, "for"); d > 0 {
					lease.Until = now.Add(time.Duration(d) * time.Second)
				}
				next, ok := l.Take(lease)
				if !ok {
					t.Fatal("refused")
				}
				l, until[owner] = next, lease.Until
			case 1:
				l = l.Without(owner)
				delete(until, owner)
			case 2:
				now = now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "passes")) * time.Second)
			}
			want := Ready
			for _, u := range until {
				if u.IsZero() || now.Before(u) {
					want = Drain
				}
			}
			if got := l.Admin(now); got.State != want {
				t.Fatalf("%s, want %s: %+v", got.State, want, l)
			}
			if got := l.Live(now).Admin(now); got != l.Admin(now) {
				t.Fatalf("what is over counts: %+v", got)
			}
			if !slices.Equal(before, was) {
				t.Fatalf("modified: %+v was %+v", before, was)
			}
		}
	})
}

func TestLeasesAreBounded(t *testing.T) {
	var l Leases
	for i := range MaxLeases {
		l, _ = l.Take(Lease{Owner: fmt.Sprint(i), State: Drain})
	}
	if _, ok := l.Take(Lease{Owner: "one more", State: Drain}); ok {
		t.Error("taken")
	}
	if next, ok := l.Take(Lease{Owner: "7", State: Maint}); !ok || len(next) != MaxLeases {
		t.Error("an owner cannot change its own")
	}
}
