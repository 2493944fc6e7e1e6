package probe

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// A reload of the config makes nothing of an unchanged check stale, and loses none of its failures, percentiles or siblings' answers.
func TestReloadKeepsTheHistoryOfUnchangedChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := shopBoard(t, "")
		stop := running(t, b.Run)
		agree := map[string]healthd.Status{"a": healthd.Pass, "b": healthd.Pass}
		beats(b, 9, healthd.Refused, agree)
		for range 2 {
			b.Report("web", "app", healthd.NewOutcome(time.Now(), time.Millisecond, healthd.Refused, ""))
		}
		services := shop()
		services[0].Checks[0].Rule.Fall = 4 // how it is judged is no part of what is measured
		b.Replace(services)
		svc, _ := b.Latest().Service("web")
		app, _ := svc.Check("app")
		if told(b) != "fail[]" || svc.Stale || app.Stale || app.Awaited || app.Latency.N != 9 || !b.Latest().Settled() {
			t.Errorf("after a reload: %s, %+v", told(b), app)
		}
		beats(b, 1, healthd.OK, agree)
		beats(b, 1, healthd.OK, agree)
		if told(b) != "pass[]" {
			t.Errorf("the database is back: %s", told(b))
		}
		for range 4 {
			b.Report("web", "app", healthd.NewOutcome(time.Now(), time.Millisecond, healthd.Refused, ""))
		}
		if told(b) != "fail[]" {
			t.Errorf("the app failed: %s", told(b))
		}
		stop()
	})
}

// Somebody edits a check all the time: what is left of its grace does not begin anew.
func TestReloadGivesNoNewGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := func(same string) []Service {
			s := web()
			s[0].Checks[0].Same, s[0].Checks[0].Rule = same, healthd.Rule{Grace: time.Minute}
			return s
		}
		b, err := NewBoard(Settings{Services: services("a")})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			tell(b, healthd.Refused, 9)
			time.Sleep(19 * time.Second)
			b.Replace(services(string(rune('b' + i))))
		}
		if tell(b, healthd.Refused, 3); status(b) != "unknown" {
			t.Errorf("57 s after the start: %s", status(b))
		}
		time.Sleep(3 * time.Second)
		b.Replace(services("z"))
		if tell(b, healthd.Refused, 3); status(b) != "fail" {
			t.Errorf("a minute after the start: %s", status(b))
		}
	})
}

func TestReloadBeginsAnewWithWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := shopBoard(t, "")
		beats(b, 5, healthd.Refused, nil)
		services := shop()
		services[0].Checks[1].Same, services[0].Checks[1].Target = "another", "db2:5432"
		b.Replace(services)
		svc, _ := b.Latest().Service("web")
		app, _ := svc.Check("app")
		db, _ := svc.Check("db")
		if app.Stale || db.Verdict.Status != healthd.Unknown || !db.Awaited || db.Suspect || told(b) != "pass[]" || !svc.Stale {
			t.Errorf("%s, stale %v, app %+v, db %+v", told(b), svc.Stale, app, db)
		}
		b.Report("web", "db", healthd.NewOutcome(time.Now(), 0, healthd.OK, ""))
		if svc, _ = b.Latest().Service("web"); svc.Stale || told(b) != "pass[]" {
			t.Errorf("measured: %s, stale %v", told(b), svc.Stale)
		}
		// The same target with other settings: what is known stays, marked stale.
		services = shop()
		services[0].Checks[0].Same = "app, differently"
		b.Replace(services)
		svc, _ = b.Latest().Service("web")
		if app, _ = svc.Check("app"); !app.Stale || !app.Brought || app.Verdict.Status != healthd.Pass {
			t.Errorf("with other settings: %+v", app)
		}
		// A failing check that is removed is held against nobody.
		services = web()
		services[0].Checks[0].Same = "x"
		b.Replace(services)
		for range 3 {
			b.Report("web", "app", healthd.NewOutcome(time.Now(), 0, healthd.Refused, ""))
		}
		services[0].Checks = append(services[0].Checks, Check{Name: "spare", Same: "spare", Probe: passes})
		b.Replace(services)
		b.Report("web", "spare", healthd.NewOutcome(time.Now(), 0, healthd.OK, ""))
		if told(b) != "fail[]" {
			t.Fatalf("before it is removed: %s", told(b))
		}
		services[0].Checks = services[0].Checks[1:]
		b.Replace(services)
		if told(b) != "pass[]" {
			t.Errorf("after it was removed: %s", told(b))
		}
	})
}
