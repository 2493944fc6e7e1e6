package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
)

// In observe mode, the default, automation says what it would do and touches nothing; the word of an operator counts.
func TestObserveModeExplainsAndNeverActs(t *testing.T) {
	eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{policy: "{}"})
		m := s.control()
		end := s.watch("s0", "s1", "s2")
		s.apps[0].broken.Store(true)
		until(t, "status explains", func() bool { return strings.Contains(m.row("s0").Would, "observe-mode") })
		if row := m.row("s0"); row.State != "up" || !strings.Contains(row.Would, "force-down") {
			t.Errorf("status says of s0: %+v", row)
		}
		table := m.cli("status").must(t).stdout
		if !strings.Contains(table, "observe") {
			t.Errorf("the table does not explain:\n%s", table)
		}
		stays(t, "nothing was done", 1500*time.Millisecond, func() bool { return !strings.Contains(m.events(), "intent") })
		if states := end(); len(states) > 0 {
			t.Errorf("HAProxy reported: %s", states)
		}
		m.cli("drain", "web/s1").must(t)
		if got := s.ha.server("s1"); got.Status != "DRAIN" {
			t.Errorf("an order in observe mode left s1 as %+v", got)
		}
	})
}
