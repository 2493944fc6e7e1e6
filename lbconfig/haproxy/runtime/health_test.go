package runtime

import (
	"net/http"
	"testing"
)

func TestForcedHealthTakesAServerOutAndRiseReturnsIt(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		report, err := f.client.Settle(t.Context(), Generation{}, Force("web", "app1")...) // a check may be under way
		if err != nil || !report.All(Done) {
			t.Fatalf("%v: %+v", err, report.Results)
		}
		s, r, follower := f.server(t, "web", "app1"), f.row(t, "web", "app1"), f.server(t, "follow", "t1")
		if s.Op != OpStopped || s.Admin != 0 || s.Check.Has(CheckEnabled) || !s.Check.Has(CheckConfigured) || r.Status.Word != StatusDown || s.Weight != 10 {
			t.Errorf("%+v %+v", s, r.Status)
		}
		if follower.Op != OpStopped || follower.Admin != 0 {
			t.Errorf("the tracker: %+v", follower)
		}
		f.apply(t, EnableChecks("web", "app1"))
		eventually(t, "app1 to return by its rise", func() bool { return f.row(t, "web", "app1").Status.Raw == "UP" })
		if s := f.server(t, "web", "app1"); s.Op != OpRunning || s.Admin != 0 || s.Weight != 10 || !s.Check.Has(CheckEnabled) {
			t.Errorf("%+v", s)
		}
	})
}

func TestStoppingHealthTakesNoNewSessions(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		f.apply(t, DisableChecks("web", "app1"))
		eventually(t, "the check under way to end", func() bool { s := f.server(t, "web", "app1"); return !s.Check.Has(CheckRunning) })
		f.apply(t, SetHealth("web", "app1", Stopping))
		if s, r := f.server(t, "web", "app1"), f.row(t, "web", "app1"); s.Op != OpStopping || r.Status.Word != StatusNoLB {
			t.Errorf("%+v %+v", s, r.Status)
		}
		f.apply(t, SetHealth("web", "app1", Up))
		f.answer.Store(http.StatusNotFound)
		eventually(t, "disable-on-404", func() bool { return f.row(t, "web", "app2").Status.Word == StatusNoLB })
		f.answer.Store(http.StatusInternalServerError)
		eventually(t, "a failed check to show as a step", func() bool {
			s := f.row(t, "web", "app2").Status
			return s.Word == StatusDown || s.Of > 0
		})
		eventually(t, "the server to be down", func() bool { return f.row(t, "web", "app2").Status.Raw == "DOWN" })
	})
}
