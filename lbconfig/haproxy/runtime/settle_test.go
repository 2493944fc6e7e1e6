package runtime

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// slowCheck is a HAProxy with one server, `rise 1`, whose checks pass when the test lets them.
type slowCheck struct {
	*peer.HAProxy
	client *Client
	begun  chan struct{} // a check has arrived
	pass   chan struct{} // lets one check pass
}

func newSlowCheck(t *testing.T, prog peer.Program) *slowCheck {
	s := &slowCheck{begun: make(chan struct{}), pass: make(chan struct{})}
	var over atomic.Bool
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if over.Load() {
			return
		}
		select {
		case s.begun <- struct{}{}:
			select {
			case <-s.pass:
			case <-r.Context().Done():
			}
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		over.Store(true)
		app.CloseClientConnections()
		app.Close()
	})
	dir := peertest.Dir(t)
	s.HAProxy = peertest.HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+"defaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\n    timeout check 60s\n"+
		"backend web\n    option httpchk GET /\n    server app1 "+app.Listener.Addr().String()+" check inter 50ms rise 1 fall 1\n")
	s.client = New(Settings{Address: s.Socket})
	t.Cleanup(s.Stop) // before the app is closed, since that waits for its connections
	return s
}

func (s *slowCheck) state(t *testing.T) (found ServerState) {
	t.Helper()
	if _, err := s.client.ServersState(t.Context(), "web", func(row *ServerState) error { found = *row; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestACheckUnderWayUndoesForcedHealth(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSlowCheck(t, prog)
		<-s.begun
		report, err := s.client.Apply(t.Context(), Generation{}, Force("web", "app1")...)
		if err != nil || !report.All(Done) || report.Results[1].Holds != HoldsForNow {
			t.Errorf("%+v, %v", report.Results, err)
		}
		s.pass <- struct{}{}
		eventually(t, "the check to put the server up again", func() bool {
			row := s.state(t)
			return row.Op == OpRunning && !row.Check.Has(CheckEnabled|CheckRunning)
		})
	})
}

func TestSettleMakesForcedHealthLast(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSlowCheck(t, prog)
		<-s.begun
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		report, err := s.client.Settle(ctx, Generation{}, Force("web", "app1")...)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || report.Results[1].Holds != HoldsForNow {
			t.Errorf("while the check goes on: %+v, %v", report.Results, err)
		}
		s.pass <- struct{}{}
		eventually(t, "the check to end", func() bool { row := s.state(t); return !row.Check.Has(CheckRunning) })
		if report, err := s.client.Apply(t.Context(), Generation{}, EnableChecks("web", "app1")); err != nil || !report.All(Done) {
			t.Fatalf("%+v, %v", report, err)
		}
		<-s.begun
		settled := make(chan struct{})
		go func() {
			report, err = s.client.Settle(t.Context(), Generation{}, Force("web", "app1")...)
			close(settled)
		}()
		// The check passes once the server is down by force, with that check still under way.
		eventually(t, "the server to be down by force", func() bool {
			row := s.state(t)
			return row.Op == OpStopped && row.Check&(CheckEnabled|CheckRunning) == CheckRunning
		})
		s.pass <- struct{}{}
		<-settled
		if row := s.state(t); err != nil || !report.All(Done) || report.Results[1].Holds != Holds || row.Op != OpStopped || row.Check.Has(CheckEnabled|CheckRunning) || row.Admin != 0 {
			t.Errorf("%+v, %v, %+v", report.Results, err, row)
		}
	})
}
