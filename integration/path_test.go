package integration

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// The path that everything hangs on: an app whose dependency fails while its port stays open is taken out, and returns
// by HAProxy's own rise once it heals; users in flight lose nothing.
func TestFailingAppIsTakenOutAndReturns(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{})
		s.control()
		users := s.load()
		slow := s.hold(s.apps[0])

		s.apps[0].broken.Store(true)
		<-s.apps[0].failed
		<-s.apps[0].failed
		decides := <-s.apps[0].failed // `fall` is 3
		until(t, "HAProxy has s0 down by forced health", func() bool { return s.ha.server("s0").forced() })
		t.Logf("taken out %s after the check that reached fall", time.Since(decides).Round(time.Millisecond))
		if got := time.Since(decides); got > 2*time.Second {
			t.Errorf("it took %s from the check that reached fall to HAProxy not routing", got)
		}
		if c, err := net.Dial("tcp", s.apps[0].address); err != nil {
			t.Errorf("the port of the app should be open: %v", err)
		} else {
			c.Close()
		}
		users.errors.Store(0)
		before, asked := s.apps[0].hits.Load(), users.asked.Load()
		until(t, "users go on", func() bool { return users.asked.Load() > asked+30 })
		if n := s.apps[0].hits.Load() - before; n > 1 { // one may have been on its way
			t.Errorf("%d requests reached s0 after it was taken out", n)
		}
		if row := s.controller.row("s0"); row.SetBy != "automation" || !strings.Contains(row.Why, "sidecar-fails") {
			t.Errorf("status says of s0: %+v", row)
		}
		s.apps[0].release <- struct{}{}
		if status := <-slow; status != http.StatusOK {
			t.Errorf("the request in flight ended with %d", status)
		}

		alive := s.apps[0].alive.Load()
		s.apps[0].broken.Store(false)
		healed := time.Now()
		until(t, "HAProxy has s0 up again", func() bool { return s.ha.server("s0").up() })
		t.Logf("returned %s after it healed", time.Since(healed).Round(time.Millisecond))
		if n := s.apps[0].alive.Load() - alive; n < 2 {
			t.Errorf("HAProxy returned s0 after %d of its own checks, with rise 2", n)
		}
		until(t, "users reach s0 again", func() bool { return s.reaches("s0") })
		users.end()
		if n := users.lost.Load(); n > 0 {
			t.Errorf("%d of %d requests were lost, the last: %v", n, users.asked.Load(), users.last.Load())
		}
		for _, server := range []string{"s1", "s2"} {
			if got := s.ha.server(server); !got.up() {
				t.Errorf("%s reads %+v", server, got)
			}
		}
	})
}
