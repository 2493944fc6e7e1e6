package integration

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// badConfigs are what an editor, a full disk or a bad copy can leave where haproxy.cfg was.
var badConfigs = map[string]func(t *testing.T, file string){
	"truncated": func(t *testing.T, file string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, text[:bytes.Index(text, []byte("backend web"))+9])
	},
	"empty":  func(t *testing.T, file string) { write(t, file, nil) },
	"binary": func(t *testing.T, file string) { write(t, file, bytes.Repeat([]byte("\x7fELF\x00\xff\xfe\n"), 4096)) },
	"1 GiB": func(t *testing.T, file string) {
		write(t, file, nil)
		if err := os.Truncate(file, 1<<30); err != nil {
			t.Fatal(err)
		}
	},
	"gone": func(t *testing.T, file string) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	},
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// HAProxy goes on with the configuration that it has read, and so does a controller; one that starts now knows nothing
// of what a take would do, says so, and carries out orders only. Neither reads a file that is no configuration whole.
func TestBadHAProxyConfigHoldsAutomation(t *testing.T) {
	for name, spoil := range badConfigs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
				t.Parallel()
				s := newSite(t, prog, siteConfig{})
				m := s.control()
				good, err := os.ReadFile(s.haproxy.Config)
				if err != nil {
					t.Fatal(err)
				}
				spoil(t, s.haproxy.Config)
				until(t, "the log tells that the file is bad", func() bool {
					return strings.Contains(m.log.String(), "would be refused at its next reload") || strings.Contains(m.log.String(), "cannot be judged")
				})
				s.apps[0].broken.Store(true)
				until(t, "it goes on with what it knows", func() bool { return s.ha.server("s0").forced() })
				s.apps[0].broken.Store(false)
				until(t, "s0 is back", func() bool { return s.ha.server("s0").up() })
				m.end(kill)

				m.start()
				s.apps[1].broken.Store(true)
				until(t, "it says why it holds back", func() bool {
					return strings.Contains(m.row("s1").Would, "orders-only") && strings.Contains(m.row("s1").Would, "configuration")
				})
				if got := s.ha.server("s1"); !got.up() {
					t.Errorf("s1 reads %+v", got)
				}
				m.cli("drain", "web/s2").must(t)
				if got := s.ha.server("s2"); got.Admin != forcedDrain {
					t.Errorf("an order left s2 as %+v", got)
				}
				m.cli("ready", "web/s2").must(t)
				if mb := procNumber(t, m.cmd.Process.Pid, "status", "VmHWM:") >> 10; mb > 400 {
					t.Errorf("the controller took %d MB of memory", mb)
				}
				if mb := procNumber(t, m.cmd.Process.Pid, "io", "rchar:") >> 20; mb > 200 {
					t.Errorf("the controller read %d MB", mb)
				}
				write(t, s.haproxy.Config, good)
				until(t, "it acts once the file is whole again", func() bool { return s.ha.server("s1").forced() })
			})
		})
	}
}

// procNumber is one number that the kernel tells of a process.
func procNumber(t *testing.T, pid int, file, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("the kernel does not tell %s", name)
	return 0
}

// nginxSite is a real nginx before three apps, and a controller that may edit its configuration.
type nginxSite struct {
	nginx *peer.Nginx
	front string
	apps  []*app
	*medic
}

func newNginxSite(t *testing.T, prog peer.Program) *nginxSite {
	t.Helper()
	dir, at := peertest.Dir(t), network()
	n := &nginxSite{front: at + "100:8000"}
	var servers strings.Builder
	for i := range 3 {
		n.apps = append(n.apps, newApp(t, fmt.Sprintf("s%d", i), fmt.Sprintf("%s%d:8080", at, i+1)))
		fmt.Fprintf(&servers, "        server %s; # app %d\n", n.apps[i].address, i)
	}
	config := peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + "    access_log off;\n    upstream web {\n" + servers.String() +
		"    }\n    server { listen " + n.front + "; location / { proxy_pass http://web; } }\n}\n"
	n.nginx = peertest.Nginx(t, prog, dir, config, n.front)
	n.medic = newMedic(t, dir, "inner", fmt.Sprintf("balancers:\n  inner: {nginx: {config: %s, prefix: %s, program: %s, edit: true}}\n", n.nginx.Config, dir, prog.Path)).start()
	until(t, "the controller reads nginx", func() bool { return len(n.status().Servers) == 3 })
	return n
}

// reaches reports whether any of some requests gets to an app.
func (n *nginxSite) reaches(t *testing.T, a *app) bool {
	t.Helper()
	before := a.hits.Load()
	for range 9 {
		s := site{front: n.front}
		if _, _, err := s.get("/"); err != nil {
			t.Fatal(err)
		}
	}
	return a.hits.Load() > before
}

// An order on nginx is an edit of one word, which its end takes back; where the configuration is broken already the
// order is refused, and every byte stays as it was.
func TestOrdersOnNginxEditOneWordOrNothing(t *testing.T) {
	eachOrOne(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		n := newNginxSite(t, prog)
		file := func() string {
			text, err := os.ReadFile(n.nginx.Config)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		good, name := file(), "web/"+n.apps[0].address
		n.cli("drain", name, "--wait", "--timeout", "20s").must(t)
		if n.reaches(t, n.apps[0]) {
			t.Error("requests reach a drained server")
		}
		if drained := file(); len(drained) != len(good)+len(" down") {
			t.Errorf("the edit is more than a word:\n%s", drained)
		}
		n.end(kill)
		n.start()
		until(t, "it knows after a restart whose order it is", func() bool { return strings.Contains(n.row(n.apps[0].address).SetBy, "uid") })
		n.cli("ready", name).must(t)
		if file() != good {
			t.Errorf("the file ends as:\n%s", file())
		}
		if !n.reaches(t, n.apps[0]) {
			t.Error("no request reaches a server that is ready")
		}

		for what, bad := range map[string]string{
			"one that nginx refuses": strings.Replace(good, "proxy_pass", "proxy_path", 1),
			"truncated":              good[:len(good)-40],
			"empty":                  "",
			"binary":                 strings.Repeat("\x7fELF\x00\xff", 512),
		} {
			write(t, n.nginx.Config, []byte(bad))
			got := n.cli("drain", name)
			if got.code != 2 || !oneLine(got.stderr) {
				t.Errorf("%s: drain ended with %d and said %q", what, got.code, got.stderr)
			}
			n.cli("ready", name) // the order may stand, and each new try has its edit in the file while nginx judges it
			if file() != bad {
				t.Errorf("%s: the file became:\n%s", what, file())
			}
			if !n.reaches(t, n.apps[0]) {
				t.Errorf("%s: nginx does not go on as it was", what)
			}
			write(t, n.nginx.Config, []byte(good))
			until(t, "the controller reads the mended file", func() bool { return n.status().Error == "" && len(n.status().Servers) == 3 })
		}
		write(t, n.nginx.Config, []byte(good))
		stays(t, "the file is left alone", 500*time.Millisecond, func() bool { return file() == good })
	})
}
