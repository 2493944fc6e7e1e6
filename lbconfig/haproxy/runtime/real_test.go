package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// each runs a test on a farm of every version.
func each(t *testing.T, test func(t *testing.T, f *farm)) {
	t.Helper()
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		test(t, newFarm(t, prog))
	})
}

func TestReadsWhatHAProxyKnows(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		if _, err := http.Get("http://" + f.front + "/"); err != nil {
			t.Fatal(err)
		}
		info, err := f.client.Info(t.Context())
		if err != nil || !strings.HasPrefix(info.Version, f.Program.Version()+".") || info.PID == 0 || info.PID == f.PID() || info.Stopping || info.Node == "" {
			t.Errorf("%+v, %v", info, err)
		}
		if f.Program.AtLeast("2.6") && time.Since(time.Unix(info.Started, 0)) > time.Minute {
			t.Errorf("started at %d", info.Started)
		}
		rows := map[string]StatRow{}
		if _, err := f.client.Stat(t.Context(), func(r *StatRow) error { rows[r.Proxy+"/"+r.Server] = *r; return nil }); err != nil {
			t.Fatal(err)
		}
		front, web, app1, app3 := rows["front/FRONTEND"], rows["web/BACKEND"], rows["web/app1"], rows["web/app3"]
		if front.Type != Frontend || front.Status.Word != StatusOpen || front.Requests != 1 || front.HTTP2xx != 1 || front.SessionsLimit == 0 {
			t.Errorf("%+v", front)
		}
		if web.Type != Backend || web.Status.Word != StatusUp || web.Algo != "roundrobin" || web.Weight != 120 || web.Active != 3 || web.Backup != 1 || web.SessionsTotal != 1 {
			t.Errorf("%+v", web)
		}
		if app1.Type != Server || app1.Weight != 10 || app1.Active != 1 || app1.Cookie != "a1" || app1.Mode != "http" || !strings.HasPrefix(app1.Addr, "127.0.0.1:") ||
			app1.CheckRise != 2 || app1.CheckFall != 2 || app1.CheckHealth != 3 || app1.CheckStatus != "L7OK" || app1.CheckCode != 200 || !app1.HasCheck() || app1.HasAgent() {
			t.Errorf("%+v", app1)
		}
		if app3.Status.Word != StatusNoCheck || app3.HasCheck() || app3.LastSession < -1 {
			t.Errorf("%+v", app3)
		}
		agent := rows["follow/agent"]
		if rows["web/spare"].Backup != 1 || rows["follow/t1"].Tracked != "web/app1" || rows["follow/off"].Status.Word != StatusMaint ||
			!agent.HasAgent() || rows["down/BACKEND"].Type != Backend {
			t.Errorf("%+v", rows)
		}
	})
}

func TestForcedHealthTakesAServerOutAndRiseReturnsIt(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		f.apply(t, Force("web", "app1")...)
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

func TestAdminStatesAndWeights(t *testing.T) {
	steps := []struct {
		command Command
		admin   Admin
		weight  int
		word    Word
	}{
		{SetState("web", "app1", Drain), ForcedDrain, 10, StatusDrain},
		{SetState("web", "app1", Maint), ForcedMaint, 10, StatusMaint}, // maint ends the drain
		{SetState("web", "app1", Drain), ForcedDrain, 10, StatusDrain}, // and drain ends the maint
		{SetState("web", "app1", Ready), 0, 10, StatusUp},
		{SetWeight("web", "app1", Absolute(256)), 0, 256, StatusUp},
		{SetWeight("web", "app1", Percent(55)), 0, 5, StatusUp},
		{SetWeight("web", "app1", Absolute(0)), 0, 0, StatusUp},
		{SetState("web", "app1", Maint), ForcedMaint, 0, StatusMaint},
		{SetWeight("web", "app1", Percent(100)), ForcedMaint, 10, StatusMaint},
		{SetState("web", "app1", Ready), 0, 10, StatusUp},
		{SetHealth("follow", "off", Up), ConfigMaint | ForcedMaint, 1, StatusMaint},
	}
	each(t, func(t *testing.T, f *farm) {
		for i, step := range steps {
			report, err := f.client.Apply(t.Context(), Generation{}, step.command)
			s, r := f.server(t, step.command.Backend, step.command.Server), f.row(t, step.command.Backend, step.command.Server)
			t.Logf("%v: %v %v: %v %d %s", step.command, report.Results, err, s.Admin, s.Weight, r.Status.Raw)
			if s.Admin != step.admin || s.Weight != step.weight || r.Status.Word != step.word {
				t.Errorf("step %d, %v: %+v %+v, want admin %v, weight %d, word %d", i, step.command, s, r.Status, step.admin, step.weight, step.word)
			}
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

func TestWhatHAProxyRefusesIsRefused(t *testing.T) {
	refusals := map[string]struct {
		command Command
		cause   error
	}{
		"no such server":                   {SetState("web", "nope", Drain), ErrUnknown},
		"no such backend":                  {SetState("nope", "app1", Drain), ErrUnknown},
		"no such session":                  {ShutSession(0x1), ErrUnknown},
		"a tracking server has no health":  {SetHealth("follow", "t1", Down), ErrSaid},
		"sessions of a server not there":   {ShutSessions("web", "nope"), ErrUnknown},
		"checks of a server not there":     {EnableChecks("web", "nope"), ErrUnknown},
		"weight of a server not there":     {SetWeight("web", "nope", Percent(0)), ErrUnknown},
		"health of a backend not there":    {SetHealth("nope", "app1", Up), ErrUnknown},
		"no checks of a backend not there": {DisableChecks("nope", "app1"), ErrUnknown},
	}
	each(t, func(t *testing.T, f *farm) {
		before := f.states(t)
		for name, r := range refusals {
			report, err := f.client.Do(t.Context(), Generation{}, r.command)
			if err != nil || !report.All(Refused) || report.Results[0].Said == "" || !errors.Is(report.Results[0].Err, r.cause) {
				t.Errorf("%s: %+v, %v", name, report.Results, err)
			}
		}
		report, err := f.client.Apply(t.Context(), Generation{}, SetState("web", "nope", Drain), SetState("web", "app2", Drain))
		if err != nil || report.Results[0].Outcome != Refused || report.Results[1].Outcome != Done {
			t.Errorf("a batch goes on behind a refusal: %+v, %v", report.Results, err)
		}
		f.apply(t, SetState("web", "app2", Ready))
		if after := f.states(t); after != before {
			t.Errorf("%s\nbecame\n%s", before, after)
		}
		if _, err := f.client.ServersState(t.Context(), "nope", func(*ServerState) error { return nil }); !errors.Is(err, ErrUnknown) {
			t.Errorf("a backend that is not there: %v", err)
		}
	})
}

// states is the whole state of all servers but the fields that change by themselves.
func (f *farm) states(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	if _, err := f.client.ServersState(t.Context(), "", func(s *ServerState) error {
		s.SinceChange, s.CheckStatus, s.CheckResult = 0, 0, 0
		s.Check &^= CheckRunning
		s.Agent &^= CheckRunning
		fmt.Fprintf(&b, "%+v\n", *s)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHostileNamesHaveNoEffect(t *testing.T) {
	names := hostileNames()
	each(t, func(t *testing.T, f *farm) {
		f.apply(t, SetState("web", "app2", Drain))
		before := f.states(t)
		info, err := f.client.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for i, name := range names {
			for _, v := range Verbs() {
				c := fitting(Command{Verb: v, Backend: "web", Server: name, State: Maint, Health: Down, Weight: Absolute(0), Pointer: 1})
				if v == ShowServersState || i%2 == 1 {
					c = fitting(Command{Verb: v, Backend: name, Server: "app1", State: Maint, Health: Down, Weight: Absolute(0), Pointer: 1})
				}
				if c.Backend == "" {
					continue // takes no name
				}
				if v.Writes() {
					report, err := f.client.Do(t.Context(), Generation{}, c)
					if report.Sent && report.All(Refused) {
						sent++
						continue
					}
					if !errors.Is(err, ErrName) || report.Sent {
						t.Fatalf("%q: %+v %v", name, report, err)
					}
				} else if _, err := f.client.ServersState(t.Context(), name, func(*ServerState) error { return nil }); !errors.Is(err, ErrName) && !errors.Is(err, ErrUnknown) {
					t.Fatalf("%q: %v", name, err)
				}
			}
		}
		after, err := f.client.Info(t.Context())
		if err != nil || !after.Generation().Same(info.Generation()) {
			t.Errorf("%v became %v (%v)", info.Generation(), after.Generation(), err)
		}
		if got := f.states(t); got != before {
			t.Errorf("%s\nbecame\n%s", before, got)
		}
		t.Logf("%d names through all verbs, %d commands were clean enough to be sent and were refused by HAProxy", len(names), sent)
	})
}

// hostileNames are more than 10,000 names, the same in every run.
func hostileNames() []string {
	names := make([]string, 0, 12000)
	for b := range 256 { // each byte alone, in front, inside and behind
		c := string([]byte{byte(b)})
		if !nameByte(byte(b)) {
			names = append(names, c, c+"app1", "app"+c+"1", "app1"+c, "app1"+c+"state", c+c)
		}
	}
	for _, a := range hostileParts {
		for _, b := range hostileParts {
			for _, c := range hostileParts {
				if len(names) == 11990 {
					break
				}
				if name := a + b + c; CheckName(name) != nil {
					names = append(names, name)
				}
			}
		}
	}
	for _, clean := range []string{"nope", "web.app1", "web:app1", "-", "--", "_", "0", "STATE", "ready", "maint"} {
		names = append(names, clean)
	}
	return names
}

func TestThereAreTenThousandHostileNames(t *testing.T) {
	if n := len(hostileNames()); n < 10_000 {
		t.Errorf("only %d", n)
	}
}

func TestSelfTestNamesTheLevelAndChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		before := f.states(t)
		for level, socket := range map[string]string{"admin": f.Socket, "operator": filepath.Join(f.Dir, "operator.sock"), "user": filepath.Join(f.Dir, "user.sock")} {
			c := New(Settings{Address: socket})
			access, err := c.SelfTest(t.Context())
			if access.Level != level || access.Admin != (level == "admin") || access.Info.PID == 0 {
				t.Errorf("%s: %+v, %v", level, access, err)
			}
			report, doErr := c.Do(t.Context(), Generation{}, SetState("web", "app1", Ready))
			if level == "admin" {
				if err != nil || doErr != nil || !report.All(Done) {
					t.Errorf("admin: %v, %v, %+v", err, doErr, report)
				}
				continue
			}
			if !errors.Is(err, ErrLevel) || !strings.Contains(err.Error(), "add `level admin` to the `stats socket` line") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", level, err)
			}
			if doErr != nil || !report.All(Refused) || !errors.Is(report.Results[0].Err, ErrLevel) {
				t.Errorf("%s: %v, %+v", level, doErr, report)
			}
		}
		if after := f.states(t); after != before {
			t.Errorf("%s\nbecame\n%s", before, after)
		}
	})
}

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

func TestAStoppedWorkerLeavesTheOutcomeUnknownUntilItIsReadBack(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		info, err := f.client.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := New(Settings{Address: f.Socket, Timeout: 300 * time.Millisecond})
		kept, _, closeKept, err := c.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer closeKept()
		if err := syscall.Kill(info.PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer syscall.Kill(info.PID, syscall.SIGCONT)
		// Met before the greeting: nothing is sent.
		start := time.Now()
		report, err := c.Do(t.Context(), Generation{}, SetState("web", "app1", Drain))
		if !errors.Is(err, ErrTimeout) || report.Sent || !strings.Contains(err.Error(), "HAProxy is stopped") || time.Since(start) > 2*time.Second {
			t.Errorf("%+v, %v after %v", report, err, time.Since(start))
		}
		// Met between greeting and command: the command may have reached it.
		late := Report{Before: info, Sent: true, Results: []Result{{Command: SetState("web", "app1", Drain)}}}
		kept.conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
		err = kept.run(&late, []string{late.Results[0].Command.String(), "show info"})
		if !errors.Is(err, ErrTimeout) || !late.All(Unknown) {
			t.Errorf("%+v, %v", late, err)
		}
		closeKept()
		if _, _, err := c.Resolve(t.Context(), late.Results[0].Command); !errors.Is(err, ErrTimeout) {
			t.Errorf("resolve while it is stopped: %v", err)
		}
		if err := syscall.Kill(info.PID, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the command to have been carried out", func() bool {
			truths, _, err := c.Resolve(t.Context(), late.Results[0].Command)
			return err == nil && truths[0] == Holds
		})
	})
}

func TestHAProxyItselfEndsAForgottenConversation(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		c := New(Settings{Address: f.Socket, Timeout: time.Second})
		talk, _, closeTalk, err := c.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer closeTalk()
		talk.conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := talk.answer(); !errors.Is(err, ErrTruncated) {
			t.Errorf("after `set timeout cli 2`, and with `stats timeout 20s`: %v", err)
		}
	})
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				resp, err := http.Get("http://" + f.front + "/hold")
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					err = errors.Join(err, resp.Body.Close())
				}
				ended <- err
			}()
		}
		var sessions []Session
		list := func() []Session {
			sessions = nil
			if _, err := f.client.Sessions(t.Context(), func(s *Session) error {
				if !s.CLI() && s.Server != "" {
					sessions = append(sessions, *s)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return sessions
		}
		eventually(t, "two sessions", func() bool { return len(list()) == 2 })
		s := sessions[0]
		if s.Frontend != "front" || s.Backend != "web" || s.Proto != "tcpv4" || !strings.HasPrefix(s.Source, "127.0.0.1:") || s.Pointer == 0 || s.Age > time.Minute {
			t.Errorf("%+v", s)
		}
		if info, err := f.client.Info(t.Context()); err != nil || info.CurrConns != 2 {
			t.Errorf("%+v, %v", info, err)
		}
		if report, err := f.client.Do(t.Context(), Generation{}, ShutSession(s.Pointer)); err != nil || !report.All(Done) {
			t.Errorf("%+v, %v", report, err)
		}
		<-ended
		rest := sessions[1]
		if report, err := f.client.Apply(t.Context(), Generation{}, ShutSessions(rest.Backend, rest.Server)); err != nil || !report.All(Done) || report.Results[0].Holds != CannotTell {
			t.Errorf("%+v, %v", report, err)
		}
		<-ended
		eventually(t, "no session", func() bool { return len(list()) == 0 })
	})
}

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

func TestACallerWhoLeavesEndsTheBatch(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		ctx, cancel := context.WithCancel(t.Context())
		rows := 0
		_, err := f.client.Stat(ctx, func(*StatRow) error { rows++; cancel(); return nil })
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if _, err := f.client.Info(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		stop := errors.New("seen enough")
		if _, err := f.client.Stat(t.Context(), func(*StatRow) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
	})
}
