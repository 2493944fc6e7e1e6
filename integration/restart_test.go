package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
)

// A sidecar that ends, however it ends, is unknown and not failing: nobody is taken out for it, and what it said before
// stands.
func TestRestartOfASidecarTakesNobodyOut(t *testing.T) {
	for name, by := range map[string]syscall.Signal{"kill -9": kill, "SIGINT": syscall.SIGINT, "SIGTERM with on_term leave": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
				t.Parallel()
				s := newSite(t, prog, siteConfig{})
				m := s.control()
				end := s.watch("s0", "s1", "s2")
				s.restartSidecar(0, by)
				if states := end(); len(states) > 0 {
					t.Errorf("while the app passed, HAProxy reported: %s", states)
				}

				s.apps[0].broken.Store(true)
				until(t, "s0 is out", func() bool { return s.ha.server("s0").forced() })
				until(t, "the sidecar has saved its verdict, which it does once a second", func() bool {
					saved, err := os.ReadFile(s.file("side0.state/health/health-snapshot.json"))
					return err == nil && strings.Contains(string(saved), `"fail"`)
				})
				end = s.watch("s1", "s2")
				s.restartSidecar(0, by)
				if got := s.ha.server("s0"); !got.forced() {
					t.Errorf("after its failing sidecar was restarted, s0 reads %+v", got)
				}
				if states := end(); len(states) > 0 {
					t.Errorf("while one app failed, HAProxy reported: %s", states)
				}
				if n := strings.Count(m.events(), "intent"); n != 1 {
					t.Errorf("%d steps were taken, want the one that took s0 out", n)
				}
				s.apps[0].broken.Store(false)
				until(t, "s0 is back", func() bool { return s.ha.server("s0").up() })
			})
		})
	}
}

// restartSidecar ends the sidecar, waits until the controller knows, and starts it again.
func (s *site) restartSidecar(i int, by syscall.Signal) {
	s.t.Helper()
	server := s.apps[i].name
	before := s.controller.row(server).Evidence.Status
	code := s.sidecars[i].end(by)
	if want := map[syscall.Signal]int{kill: -1}[by]; by == kill && code != want || by == syscall.SIGTERM && code != 0 {
		s.t.Errorf("%s ended with status %d on %s", s.sidecars[i].name, code, by)
	}
	until(s.t, "the controller misses the sidecar", func() bool { return s.controller.row(server).Evidence.Status.String() == "unknown" })
	state := s.ha.server(server)
	stays(s.t, "it is left as it is", 500*time.Millisecond, func() bool {
		return s.ha.server(server).Admin == state.Admin && s.ha.server(server).Checks == state.Checks
	})
	s.sidecars[i].start()
	until(s.t, "the controller hears it again", func() bool { return s.controller.row(server).Evidence.Status == before })
}

// A controller that is killed leaves its work and its orders in place, knows them again after its restart, and undoes
// its own when the app passes.
func TestRestartOfTheControllerKeepsWhatItDid(t *testing.T) {
	eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{policy: "{mode: enforce, capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		m.cli("drain", "web/s1", "--reason", "kernel").must(t)
		s.apps[0].broken.Store(true)
		until(t, "s0 is out", func() bool { return s.ha.server("s0").forced() })
		m.end(kill)
		if s0, s1 := s.ha.server("s0"), s.ha.server("s1"); !s0.forced() || s1.Status != "DRAIN" {
			t.Fatalf("after the kill s0 reads %+v, s1 %+v", s0, s1)
		}
		end := s.watch("s2")
		m.start()
		until(t, "it knows what is its own", func() bool {
			return m.row("s0").SetBy == "automation" && m.row("s1").Why == "kernel" && m.row("s0").Evidence.Status.String() == "fail"
		})
		stays(t, "everything is as it was", 500*time.Millisecond, func() bool { return s.ha.server("s0").forced() && s.ha.server("s1").Status == "DRAIN" })
		s.apps[0].broken.Store(false)
		until(t, "s0 is back", func() bool { return s.ha.server("s0").up() })
		if got := s.ha.server("s1"); got.Status != "DRAIN" {
			t.Errorf("the order is gone: s1 reads %+v", got)
		}
		m.cli("ready", "web/s1").must(t)
		until(t, "s1 is back", func() bool { return s.ha.server("s1").up() })
		if states := end(); len(states) > 0 {
			t.Errorf("of s2 HAProxy reported: %s", states)
		}
	})
}

// What automation has out can be put back without the daemon, and its next start does not take it again at once.
func TestReleaseWithoutADaemon(t *testing.T) {
	eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{policy: "{mode: enforce, capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		m.cli("drain", "web/s1").must(t)
		s.apps[0].broken.Store(true)
		until(t, "s0 is out", func() bool { return s.ha.server("s0").forced() })
		m.end(kill)
		if text := m.cli("release", "--all").must(t).stdout; !strings.Contains(text, "web/s0") {
			t.Errorf("release says %q", text)
		}
		until(t, "s0 is back", func() bool { return s.ha.server("s0").up() })
		if got := s.ha.server("s1"); got.Status != "DRAIN" {
			t.Errorf("release ended an operator's order: s1 reads %+v", got)
		}
		if text := m.cli("release", "--all").must(t).stdout; !strings.Contains(text, "nothing") {
			t.Errorf("a second release says %q", text)
		}
		end := s.watch("s0")
		s.controller.start()
		until(t, "it holds the take back", func() bool { return strings.Contains(m.row("s0").Would, "operator-override") })
		stays(t, "s0 is left alone", 700*time.Millisecond, func() bool { return s.ha.server("s0").up() })
		if states := end(); len(states) > 0 {
			t.Errorf("of s0 HAProxy reported: %s", states)
		}
	})
}
