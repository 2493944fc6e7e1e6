package integration

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// A controller that is killed between its intent and the outcome does not know whether the worker carried the command
// out. It reads that back after its restart: what was done is its own, and goes back when the app passes. Here the worker
// is stopped when the command has reached its socket, and carries it out when it goes on, though nobody waits any more.
func TestKilledBetweenIntentAndOutcome(t *testing.T) {
	for name, early := range map[string]bool{"restarted after the worker went on": false, "restarted before the worker goes on": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
				t.Parallel()
				testKilledInTheMiddle(t, prog, early)
			})
		})
	}
}

func testKilledInTheMiddle(t *testing.T, prog peer.Program, early bool) {
	dir := peertest.Dir(t)
	s := newSite(t, prog, siteConfig{socket: dir + "/relay.sock"})
	worker, stopped := s.ha.pid(), make(chan struct{})
	signal := func(sig syscall.Signal) {
		if err := syscall.Kill(worker, sig); err != nil {
			t.Error(err)
		}
	}
	newRelay(t, dir+"/relay.sock", string(s.ha), "disable health", func() {
		signal(syscall.SIGSTOP)
		close(stopped)
	})
	m := s.control()
	s.apps[0].broken.Store(true)
	<-stopped
	m.end(kill)
	if events := m.events(); strings.Count(events, "intent") != 1 || strings.Contains(events, "outcome") {
		t.Errorf("the journal of the killed controller:\n%s", events)
	}
	if early {
		m.start()
		until(t, "it says that the balancer does not answer", func() bool { return m.status().Error != "" })
		signal(syscall.SIGCONT)
	} else {
		signal(syscall.SIGCONT)
		m.start()
	}
	until(t, "s0 is out, and known as its own", func() bool { return s.ha.server("s0").forced() && m.row("s0").SetBy == "automation" })
	s.apps[0].broken.Store(false)
	// Where HAProxy dropped the command with its connection, s0 was taken a second time, and a second take stays 10 s.
	untilWithin(t, 20*time.Second, "s0 is back", func() bool { return s.ha.server("s0").up() })
	nothing := func() bool {
		return s.ha.server("s0").up() && s.ha.server("s1").up() && s.ha.server("s2").up() && m.row("s0").SetBy == "" && m.row("s0").Would == ""
	}
	until(t, "nothing is left of it", nothing)
	stays(t, "nothing is left of it", 500*time.Millisecond, nothing)
}
