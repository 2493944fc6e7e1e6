package runtime

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestAReloadIsSeenByTheNextBatch(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		old, err := f.client.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// A conversation that was opened before the reload stays with the old worker, as a kept-open connection would.
		kept, _, closeKept, err := f.client.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer closeKept()
		if err := f.Reload(); err != nil {
			t.Fatal(err)
		}
		var now Info
		eventually(t, "a new worker", func() bool {
			now, err = f.client.Info(t.Context())
			return err == nil && !now.Generation().Same(old.Generation()) && !now.Stopping
		})
		report, err := f.client.Do(t.Context(), old.Generation(), SetState("web", "app1", Maint))
		if !errors.Is(err, ErrGeneration) || report.Sent || report.Before.PID != now.PID {
			t.Errorf("a command for the old worker: %+v, %v", report, err)
		}
		// What reaches the old worker all the same is refused by it, and the last reading shows that it is stopping.
		eventually(t, "the old worker to be told to stop", func() bool {
			if err := kept.send("show info"); err != nil {
				t.Fatal(err)
			}
			info, err := kept.info()
			if err != nil {
				t.Fatal(err)
			}
			return info.Stopping
		})
		late := Report{Before: old, Sent: true, Results: []Result{{Command: SetState("web", "app1", Maint)}, {Command: SetWeight("web", "app1", Absolute(0))}, {Command: DisableChecks("web", "app1")}}}
		err = kept.run(&late, []string{late.Results[0].Command.String(), late.Results[1].Command.String(), late.Results[2].Command.String(), "show info"})
		if !errors.Is(err, ErrStopping) {
			t.Errorf("the old worker: %v", err)
		}
		for _, r := range late.Results {
			if r.Outcome == Done {
				t.Errorf("done on an old worker: %+v", r)
			}
		}
		if s := f.server(t, "web", "app1"); s.Admin != 0 || s.Weight != 10 || !s.Check.Has(CheckEnabled) {
			t.Errorf("the new worker has %+v", s)
		}
		if report, err := f.client.Do(t.Context(), now.Generation(), SetState("web", "app1", Ready)); err != nil || !report.All(Done) {
			t.Errorf("the new generation: %+v, %v", report, err)
		}
	})
}

func TestAnOldWorkerIsNeverToldAnything(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		// Two connections that the worker accepts before it becomes the old one: one to see it become so, one for the client.
		kept, before, closeKept, err := f.client.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer closeKept()
		early, err := net.Dial("unix", f.Socket)
		if err != nil {
			t.Fatal(err)
		}
		f.server(t, "web", "app1") // answered behind it, so it has been accepted
		if err := f.Reload(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the old worker to be told to stop", func() bool {
			if err := kept.send("show info"); err != nil {
				t.Fatal(err)
			}
			info, err := kept.info()
			return err == nil && info.Stopping && info.PID == before.PID
		})
		relay := newRelay(t, func(net.Conn) (net.Conn, error) { return early, nil })
		report, err := New(Settings{Address: relay}).Do(t.Context(), before.Generation(), SetState("web", "app1", Maint))
		if !errors.Is(err, ErrStopping) || report.Sent || report.Before.PID != before.PID || !strings.Contains(err.Error(), "nothing was sent") {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
