package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// An order stands until an operator ends it: HAProxy forgets drains in a reload and in a restart, lbmedic does not, and
// its own restart changes nothing.
func TestOrdersOutliveReloadsAndRestarts(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{policy: "{capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		m.cli("drain", "web/s0", "--reason", "kernel").must(t)
		m.cli("maint", "edge/web/s1").must(t)
		stand := func() bool {
			return s.ha.server("s0").Admin == forcedDrain && s.ha.server("s1").Admin == forcedMaint && s.ha.server("s2").up()
		}
		if !stand() {
			t.Fatalf("after the orders: %+v, %+v", s.ha.server("s0"), s.ha.server("s1"))
		}
		again := func(what string, since time.Time) {
			t.Helper()
			until(t, "the orders stand again after "+what, stand)
			took := time.Since(since)
			t.Logf("applied again %s after %s", took.Round(time.Millisecond), what)
			if took > 2*time.Second {
				t.Errorf("applied again %s after %s; 1 s is promised", took, what)
			}
		}
		again("a reload", s.reload())
		again("a restart", s.restart())
		m.end(kill)
		m.start()
		stays(t, "the orders stand over a restart of lbmedic", 300*time.Millisecond, stand)
		m.end(kill)
		s.reload()
		if stand() {
			t.Fatal("nobody was there to apply the orders again, and they stand")
		}
		began := time.Now()
		m.start()
		again("the start of lbmedic", began)

		m.cli("ready", "web/s0", "web/s1").must(t)
		until(t, "both are back", func() bool { return s.ha.server("s0").up() && s.ha.server("s1").up() })
		s.reload()
		stays(t, "ready has ended the orders", time.Second, func() bool { return s.ha.server("s0").Admin == 0 && s.ha.server("s1").Admin == 0 })
	})
}

// Flags in srv_admin_state.
const (
	forcedMaint = 1
	forcedDrain = 8
)

// Maintenance that somebody set by the socket is his: no order but his own kind, and no automation, touches it.
func TestForeignMaintenanceIsNeverTouched(t *testing.T) {
	eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{policy: "{mode: enforce, capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		s.ha.must(t, "set server web/s0 state maint")
		foreign := func() bool { return s.ha.server("s0").Admin == forcedMaint }
		refused := m.cli("drain", "web/s0")
		if refused.code != 2 || !oneLine(refused.stderr) || !strings.Contains(refused.stderr, "foreign-maint") {
			t.Errorf("drain ended with %d and said %q", refused.code, refused.stderr)
		}
		s.apps[0].broken.Store(true)
		until(t, "the controller hears that the app fails", func() bool { return m.row("s0").Evidence.Status.String() == "fail" })
		stays(t, "the maintenance stands", 500*time.Millisecond, foreign)
		s.apps[0].broken.Store(false)
		until(t, "the controller hears that the app passes", func() bool { return m.row("s0").Evidence.Status.String() == "pass" })
		stays(t, "the maintenance stands", 500*time.Millisecond, foreign)
		if row := m.row("s0"); row.SetBy != "somebody" {
			t.Errorf("status says of s0: %+v", row)
		}
		m.end(kill)
		m.start()
		until(t, "the restarted controller hears that the app passes", func() bool { return m.row("s0").Evidence.Status.String() == "pass" })
		stays(t, "the maintenance stands over a restart of lbmedic", 300*time.Millisecond, foreign)
		if events := m.events(); strings.Contains(events, "intent") {
			t.Errorf("something was done:\n%s", events)
		}
		m.cli("ready", "web/s0").must(t) // an operator's own word ends it
		until(t, "s0 is back", func() bool { return s.ha.server("s0").up() })
	})
}
