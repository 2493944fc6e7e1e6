package probe

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// shop has an app of its own and a database that it shares with its siblings.
func shop() []Service {
	return []Service{{Name: "web", Checks: []Check{
		{Name: "app", Kind: "http", Same: "app", Probe: passes},
		{Name: "db", Kind: "tcp", Target: "db:5432", Same: "db", Shared: true, Probe: passes},
	}}}
}

func shopBoard(t *testing.T, dir string) *Board {
	t.Helper()
	b, err := NewBoard(Settings{Services: shop(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b.Siblings([]string{"b", "a", "b"})
	return b
}

func says(status healthd.Status) []healthd.Sighting {
	return []healthd.Sighting{{Dependency: healthd.Dependency("tcp", "db:5432"), Status: status}, {Dependency: "tcp nobody:1", Status: healthd.Fail}}
}

// beats lets the time of its caller's bubble pass, an interval at a time: the app passes, the database gives an outcome, and the siblings answer.
func beats(b *Board, n int, db healthd.Class, siblings map[string]healthd.Status) {
	for range n {
		b.Report("web", "app", healthd.NewOutcome(time.Now(), 0, healthd.OK, ""))
		b.Report("web", "db", healthd.NewOutcome(time.Now(), 0, db, ""))
		<-time.After(DefaultInterval / 2)
		for name, status := range siblings {
			b.Hear(name, time.Now(), says(status))
		}
		<-time.After(DefaultInterval / 2)
	}
}

func told(b *Board) string {
	svc, _ := b.Latest().Service("web")
	return fmt.Sprintf("%s%v", svc.Status, svc.Suspect)
}

// A resolver that is down for all at a start of all keeps nobody from starting; what is not shared does.
func TestSharedCheckThatCannotBeMadeDegrades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := shopBoard(t, "")
		b.Report("web", "app", healthd.NewOutcome(time.Now(), 0, healthd.OK, ""))
		if told(b) != "unknown[]" {
			t.Errorf("before its first try: %s", told(b))
		}
		for range 9 {
			b.Report("web", "db", healthd.NewOutcome(time.Now(), 0, healthd.OwnFault, "no such host"))
			svc, _ := b.Latest().Service("web")
			if told(b) != "warn[]" || !b.Latest().Settled() || svc.Blame() == nil || svc.Blame().Name != "db" {
				t.Fatalf("tried: %s, %+v", told(b), svc)
			}
		}
		b.Report("web", "db", healthd.NewOutcome(time.Now(), 0, healthd.OK, ""))
		if told(b) != "pass[]" {
			t.Errorf("measured: %s", told(b))
		}
		b = shopBoard(t, "")
		b.Report("web", "db", healthd.NewOutcome(time.Now(), 0, healthd.OK, ""))
		for range 9 {
			b.Report("web", "app", healthd.NewOutcome(time.Now(), 0, healthd.OwnFault, "no such host"))
		}
		if told(b) != "unknown[]" {
			t.Errorf("its own check cannot be made: %s", told(b))
		}
	})
}

func TestSharedFailureFailsOnlyWhereSiblingsSeeItPass(t *testing.T) {
	type answers = map[string]healthd.Status
	for name, c := range map[string]struct {
		siblings answers
		want     string
	}{
		"nobody answers":        {nil, "warn[db]"},
		"both see it pass":      {answers{"a": healthd.Pass, "b": healthd.Pass}, "fail[]"},
		"both see it fail":      {answers{"a": healthd.Fail, "b": healthd.Fail}, "warn[db]"},
		"one is silent":         {answers{"a": healthd.Pass}, "warn[db]"},
		"a stranger has no say": {answers{"a": healthd.Pass, "c": healthd.Pass}, "warn[db]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := shopBoard(t, "")
				stop := running(t, b.Run)
				beats(b, 2, healthd.OK, c.siblings)
				if told(b) != "pass[]" {
					t.Errorf("at first: %s", told(b))
				}
				beats(b, 2, healthd.Refused, c.siblings)
				if told(b) != "pass[]" {
					t.Errorf("as it begins to fail: %s", told(b))
				}
				b.Report("web", "db", healthd.NewOutcome(time.Now(), 0, healthd.Refused, "")) // the third
				if got := told(b); got != c.want {
					t.Errorf("as it fails: %s, want %s", got, c.want)
				}
				beats(b, 5, healthd.Refused, c.siblings)
				if told(b) != c.want {
					t.Errorf("as it goes on: %s, want %s", told(b), c.want)
				}
				beats(b, 2, healthd.OK, c.siblings)
				if told(b) != "pass[]" {
					t.Errorf("in the end: %s", told(b))
				}
				stop()
			})
		})
	}
}

// Silence says nothing: two intervals after the last answer, this host is taken out no longer.
func TestAnswersAgeWithoutAnybodyReporting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := shopBoard(t, "")
		stop := running(t, b.Run)
		agree := map[string]healthd.Status{"a": healthd.Pass, "b": healthd.Pass}
		beats(b, 9, healthd.Refused, agree)
		if every, ok := b.Shares(); told(b) != "fail[]" || every != DefaultInterval || !ok {
			t.Errorf("%s, to be asked every %s, %v", told(b), every, ok)
		}
		generation := b.Latest().Generation
		time.Sleep(DefaultInterval)
		if told(b) != "fail[]" {
			t.Errorf("after an interval: %s", told(b))
		}
		time.Sleep(DefaultInterval + beat)
		if told(b) != "warn[db]" || b.Latest().Generation == generation {
			t.Errorf("after two: %s", told(b))
		}
		beats(b, 9, healthd.Refused, agree)
		b.Siblings([]string{"a"})
		if told(b) != "warn[db]" {
			t.Errorf("with one sibling: %s", told(b))
		}
		b.Replace(web())
		if _, ok := b.Shares(); ok {
			t.Error("siblings are to be asked although nothing is shared")
		}
		b.Hear("a", time.Now(), says(healthd.Pass))
		stop()
	})
}

// Siblings of another service of this host know nothing of this one's dependencies, and their silence about them is none.
func TestOnlySiblingsOfTheServiceHaveASay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := shopBoard(t, "")
		b.Siblings([]string{"a", "b", "c", "d", "e"})
		agree := map[string]healthd.Status{"a": healthd.Pass, "b": healthd.Pass, "c": healthd.Unknown}
		beats(b, 9, healthd.Refused, agree)
		if told(b) != "warn[db]" {
			t.Errorf("two of five: %s", told(b))
		}
		b.SiblingsOf(map[string][]string{"web": {"b", "a", "b"}, "batch": {"c", "d", "e"}})
		beats(b, 2, healthd.Refused, agree)
		if told(b) != "fail[]" {
			t.Errorf("both of two: %s", told(b))
		}
		b.SiblingsOf(map[string][]string{"web": {}})
		if told(b) != "warn[db]" {
			t.Errorf("with none: %s", told(b))
		}
	})
}

// A probe that ended a moment before an answer came, and is reported a moment after, takes no answer for one from the future.
func TestAnswersThatOvertakeAnOutcomeCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := shopBoard(t, "")
		agree := map[string]healthd.Status{"a": healthd.Pass, "b": healthd.Pass}
		beats(b, 9, healthd.Refused, agree)
		ended := time.Now()
		time.Sleep(time.Millisecond)
		for name := range agree {
			b.Hear(name, time.Now(), says(healthd.Pass))
		}
		b.Report("web", "db", healthd.NewOutcome(ended, 0, healthd.Refused, ""))
		if told(b) != "fail[]" {
			t.Errorf("got %s", told(b))
		}
	})
}

// A host that was to blame does not come back into service because its sidecar starts anew and has not asked anybody yet.
func TestBlameSurvivesARestartUntilSiblingsCanBeAsked(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := shopBoard(t, dir)
		stop := running(t, b.Run)
		beats(b, 9, healthd.Refused, map[string]healthd.Status{"a": healthd.Pass, "b": healthd.Pass})
		stop()
		b = shopBoard(t, dir)
		stop = running(t, b.Run)
		beats(b, 1, healthd.Refused, nil)
		if told(b) != "fail[]" {
			t.Errorf("after a restart: %s", told(b))
		}
		beats(b, 2, healthd.Refused, nil)
		if told(b) != "warn[db]" {
			t.Errorf("as nobody answers: %s", told(b))
		}
		stop()
		b = shopBoard(t, dir)
		if told(b) != "warn[db]" {
			t.Errorf("suspect, after another restart: %s", told(b))
		}
		if beats(b, 1, healthd.Refused, nil); told(b) != "warn[db]" {
			t.Errorf("and measured: %s", told(b))
		}
	})
}
