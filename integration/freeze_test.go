package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
)

// A freeze stops automation at once and outlives a kill; orders are carried out all the same.
func TestFreezeStopsAutomationAndOutlivesAKill(t *testing.T) {
	eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{policy: "{mode: enforce, capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		m.cli("freeze", "--reason", "storm").must(t)
		end := s.watch("s0", "s2")
		s.apps[0].broken.Store(true)
		frozen := func() bool { return strings.Contains(m.row("s0").Would, "frozen") }
		until(t, "status explains", frozen)
		m.end(kill)
		m.start()
		until(t, "it is frozen after a kill", frozen)
		if table := m.cli("status").must(t).stdout; !strings.Contains(table, "storm") {
			t.Errorf("the table does not say that automation is frozen:\n%s", table)
		}
		m.cli("drain", "web/s1").must(t)
		if got := s.ha.server("s1"); got.Admin != forcedDrain {
			t.Errorf("an order while frozen left s1 as %+v", got)
		}
		m.cli("ready", "web/s1").must(t)
		stays(t, "nothing is taken out", 500*time.Millisecond, func() bool { return s.ha.server("s0").up() })
		if states := end(); len(states) > 0 {
			t.Errorf("while frozen HAProxy reported: %s", states)
		}
		m.cli("thaw").must(t)
		thawed := time.Now()
		until(t, "s0 is out after the thaw", func() bool { return s.ha.server("s0").forced() })
		t.Logf("taken out %s after the thaw", time.Since(thawed).Round(time.Millisecond))
		m.cli("freeze").must(t)
		s.apps[0].broken.Store(false)
		until(t, "the controller hears that the app passes", func() bool { return m.row("s0").Evidence.Status.String() == "pass" })
		stays(t, "what is out stays out while frozen", time.Second, func() bool { return s.ha.server("s0").forced() })
		m.cli("thaw").must(t)
		until(t, "s0 is back", func() bool { return s.ha.server("s0").up() })
	})
}
