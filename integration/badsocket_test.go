package integration

import (
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// badSockets are what can stand where HAProxy's socket should be, and what status and the commands say then. put makes
// it; listeners end with the test.
var badSockets = map[string]struct {
	put  func(t *testing.T, at string) *stranger
	says string
}{
	"missing": {func(*testing.T, string) *stranger { return nil }, "is HAProxy running"},
	"stale":   {putStale, "nobody listens there"},
	"hangs":   {func(t *testing.T, at string) *stranger { return newStranger(t, at, "", true) }, "not one byte came back in time"},
	"half a reply": {func(t *testing.T, at string) *stranger {
		return newStranger(t, at, "\nName: HAProxy\nVersion: 2.6.12\nPid: 4", false)
	}, "in the middle"},
	"garbage": {func(t *testing.T, at string) *stranger {
		return newStranger(t, at, "\x7fELF\x00\x01HTTP/1.1 400\r\n\r\n<html>", false)
	}, "is this the socket of a HAProxy"},
	"not a socket": {putFile, "not a socket"},
}

// Whatever stands where HAProxy's socket should be: one clear line that says what to do, nothing done, and work goes on
// once it is mended.
func TestBadSocketIsToldAndSurvived(t *testing.T) {
	for name, bad := range badSockets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
				t.Parallel()
				at := peertest.Dir(t) + "/haproxy.sock"
				s := newSite(t, prog, siteConfig{socket: at, policy: "{mode: enforce}"})
				stranger := bad.put(t, at)
				s.apps[0].broken.Store(true)
				m := s.controller.start()
				until(t, "status says what is wrong", func() bool { return strings.Contains(m.status().Error, bad.says) })
				if text := m.status().Error; !oneLine(text) {
					t.Errorf("the error is not one line: %q", text)
				}
				if n := len(m.log.lines("the balancer cannot be read; nothing is done until it can")); n != 1 {
					t.Errorf("the log tells it %d times", n)
				}
				if table := m.cli("status"); !strings.Contains(table.stdout+table.stderr, bad.says) {
					t.Errorf("the table does not say what is wrong: %d\n%s%s", table.code, table.stdout, table.stderr)
				}
				order := m.cli("drain", "edge/web/s1")
				if order.code != 2 || !oneLine(order.stderr) || !strings.Contains(order.stderr, bad.says) {
					t.Errorf("drain ended with %d and said %q", order.code, order.stderr)
				}
				if heard := stranger.heard(); strings.Contains(heard, "set ") && !strings.Contains(heard, "set severity") || strings.Contains(heard, "disable") {
					t.Errorf("a stranger was told to act: %q", heard)
				}
				for _, name := range []string{"s0", "s1", "s2"} {
					if got := s.ha.server(name); !got.up() {
						t.Errorf("%s reads %+v", name, got)
					}
				}
				mend(t, at, string(s.ha))
				until(t, "it reads HAProxy again, and acts", func() bool { return m.status().Error == "" && s.ha.server("s0").forced() })
				if got := s.ha.server("s1"); !got.up() {
					t.Errorf("an order that was refused left s1 as %+v", got)
				}
			})
		})
	}
}

// A socket of a lower level can be read. What it refuses is told with what to do, is not tried without end, and is done
// once the level is raised.
func TestLowSocketLevelIsTold(t *testing.T) {
	for _, level := range []string{"operator", "user"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
				t.Parallel()
				dir := peertest.Dir(t)
				low, at := dir+"/low.sock", dir+"/haproxy.sock"
				s := newSite(t, prog, siteConfig{socket: at, global: "    stats socket " + low + " mode 600 level " + level + "\n"})
				mend(t, at, low)
				s.apps[0].broken.Store(true)
				m := s.controller.start()
				until(t, "status says what to do", func() bool { return strings.Contains(m.cli("status").stdout, "level admin") })
				order := m.cli("drain", "web/s1")
				if order.code != 2 || !oneLine(order.stderr) || !strings.Contains(order.stderr, "level admin") {
					t.Errorf("drain ended with %d and said %q", order.code, order.stderr)
				}
				until(t, "status says what is held back", func() bool { return strings.Contains(m.row("s0").Would, "commands-denied") })
				if events := m.events(); strings.Contains(events, "intent") || strings.Contains(events, "order ") {
					t.Errorf("something was begun:\n%s", events)
				}
				for _, name := range []string{"s0", "s1", "s2"} {
					if got := s.ha.server(name); !got.up() {
						t.Errorf("%s reads %+v", name, got)
					}
				}
				mend(t, at, string(s.ha))
				until(t, "it acts", func() bool { return s.ha.server("s0").forced() })
				if got := s.ha.server("s1"); !got.up() {
					t.Errorf("an order that was refused left s1 as %+v", got)
				}
			})
		})
	}
}

// mend puts the real socket where something else was.
func mend(t *testing.T, at, real string) {
	t.Helper()
	if err := os.RemoveAll(at); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, at); err != nil {
		t.Fatal(err)
	}
}

func putStale(t *testing.T, at string) *stranger {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	return nil
}

func putFile(t *testing.T, at string) *stranger {
	if err := os.WriteFile(at, []byte("no socket"), 0o600); err != nil {
		t.Fatal(err)
	}
	return nil
}

// stranger answers on a socket and is no HAProxy.
type stranger struct {
	mu   sync.Mutex
	text strings.Builder
}

// newStranger sends the same answer to whatever is asked, and closes, or says nothing and stays.
func newStranger(t *testing.T, at, answer string, stay bool) *stranger {
	t.Helper()
	s := &stranger{}
	l, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					s.hear(string(buf[:n]))
					if _, werr := c.Write([]byte(answer)); err != nil || werr != nil || !stay {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { // after the processes that ask have ended
		l.Close()
		open.Wait()
	})
	return s
}

func (s *stranger) hear(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.WriteString(text)
}

func (s *stranger) heard() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
