package runtime

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestTheMasterShowsOldWorkers(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		silent, err := net.Dial("tcp", f.front)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		go http.Get("http://" + f.front + "/hold")
		eventually(t, "both connections", func() bool {
			info, err := f.client.Info(t.Context())
			return err == nil && info.CurrConns == 2
		})
		first, err := f.master.Processes(t.Context())
		if err != nil || len(first.Workers) != 1 || len(first.Old) != 0 || first.Master.PID != f.PID() || first.Master.Version != first.Workers[0].Version {
			t.Fatalf("%+v, %v", first, err)
		}
		if wantFailed := map[bool]int{true: 0, false: -1}[f.Program.AtLeast("2.6")]; first.Master.Failed != wantFailed {
			t.Errorf("failed: %d, want %d", first.Master.Failed, wantFailed)
		}
		reloaded, err := f.master.Reload(t.Context())
		if answers := f.Program.AtLeast("3.0"); err != nil || reloaded.Answered != answers || reloaded.Success != answers || (len(reloaded.Log) > 0) != answers {
			t.Errorf("%+v, %v", reloaded, err)
		}
		var now Processes
		eventually(t, "an old worker", func() bool {
			now, err = f.master.Processes(t.Context())
			return err == nil && len(now.Old) == 1 && len(now.Workers) == 1
		})
		old := first.Workers[0].PID
		if now.Old[0].PID != old || now.Workers[0].PID == old || now.Old[0].Reloads != 1 || now.Master.Reloads != 1 || now.Old[0].Type != "worker" {
			t.Errorf("%+v", now)
		}
		var sessions []Session
		var info Info
		eventually(t, "the old worker to say that it is stopping", func() bool {
			sessions = nil
			info, err = f.master.Read(t.Context(), old, Sessions(func(s *Session) error {
				if !s.CLI() {
					sessions = append(sessions, *s)
				}
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			return info.Stopping
		})
		// The silent connection is no session, but CurrConns has it (2.2 lists it as a session without a server).
		inUse := 0
		for _, s := range sessions {
			if s.Server != "" {
				inUse++
			}
		}
		if info.PID != old || info.CurrConns != 2 || inUse != 1 {
			t.Errorf("%+v %+v", info, sessions)
		}
		if live, err := f.master.Worker(t.Context(), now.Workers[0].PID); err != nil || live.Stopping || live.PID != now.Workers[0].PID {
			t.Errorf("%+v, %v", live, err)
		}
		if _, err := f.master.Worker(t.Context(), f.PID()); err == nil {
			t.Error("the master was taken for a worker")
		}
	})
}

func TestAReloadThatFailsIsSaidSo(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		if err := f.WriteConfig("global\n    nonsense\n"); err != nil {
			t.Fatal(err)
		}
		reloaded, err := f.master.Reload(t.Context())
		if err != nil || reloaded.Success || reloaded.Answered != f.Program.AtLeast("3.0") {
			t.Errorf("%+v, %v", reloaded, err)
		}
		if reloaded.Answered && !strings.Contains(strings.Join(reloaded.Log, "\n"), "nonsense") {
			t.Errorf("%q", reloaded.Log)
		}
		if !f.Program.AtLeast("2.6") {
			return // 2.2 counts no failures
		}
		eventually(t, "the failure to be counted", func() bool {
			all, err := f.master.Processes(t.Context())
			return err == nil && all.Master.Failed == 1
		})
	})
}
