package runtime

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
