package nginx

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig"
)

func TestRealNginxVerdictsAndPlaces(t *testing.T) {
	peertest.Root(t)
	tests := map[string]struct {
		http string // stands in line 4 of the file, within http
		want string // the problems, one a line; empty: valid
	}{
		"fine":              {"server { listen 127.0.0.1:LISTEN; }", ""},
		"unknown directive": {"health_check;", `nginx.conf:4:1: error nginx: unknown directive "health_check"`},
		"bad parameter":     {"upstream u { server 127.0.0.1 nonsense; }", `nginx.conf:4:31: error nginx: invalid parameter "nonsense"`},
		"bad number":        {"keepalive_requests x;", `nginx.conf:4:1: error nginx: "keepalive_requests" directive invalid number`},
		"duplicate":         {"upstream u { server 127.0.0.1; } upstream u { server 127.0.0.1; }", `nginx.conf:4:1: error nginx: duplicate upstream "u"`},
		"empty upstream":    {"upstream u { }", `nginx.conf:4:1: error nginx: no servers are inside upstream`},
		"missing include":   {"include nope.conf;", `nginx.conf:4:1: error nginx: open() "DIR/nope.conf" failed (2: No such file or directory)`},
		"extra brace":       {"}\n}", `nginx.conf:5:1: error nginx: unexpected "}"`},
		"no closing brace":  {"server {", `nginx.conf:6:1: error nginx: unexpected end of file, expecting "}"`},
		"unresolvable":      {"upstream u { server nobody.invalid:80; }", `nginx.conf:4:21: error nginx: host not found in upstream "nobody.invalid:80"`},
		"bad port":          {"server { listen 127.0.0.1:99999; }", `nginx.conf:4:17: error nginx: invalid port in "127.0.0.1:99999" of the "listen" directive`},
		"a warning":         {"server { listen 127.0.0.1:LISTEN; server_name a; } server { listen 127.0.0.1:LISTEN; server_name a; }", `warning nginx: conflicting server name "a" on 127.0.0.1:LISTEN, ignored`},
		"two lines in it":   {"\"a\nb\" c;", `nginx.conf:5:1: error nginx: unknown directive "a b"`},
	}
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir, port := peertest.Dir(t), fmt.Sprint(peertest.Port(t))
		v := Validator{Program: prog.Path, Prefix: dir, Conf: filepath.Join(dir, "nginx.conf"), Globals: "pid " + dir + "/nginx.pid;"}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				text := "events {}\nhttp {\n" + strings.ReplaceAll(peer.NginxTemp(dir), "\n", "") + "\n" + strings.ReplaceAll(tt.http, "LISTEN", port) + "\n}\n"
				write(t, dir, map[string]string{"nginx.conf": text})
				r := v.Check(t.Context())
				valid := tt.want == "" || strings.HasPrefix(tt.want, "warning")
				if (r.Verdict == Valid) != valid || r.Verdict == Unknown || r.Why != "" {
					t.Errorf("verdict %s %s", r.Verdict, r.Why)
				}
				var got []string
				for _, p := range r.Problems {
					got = append(got, strings.TrimPrefix(strings.TrimPrefix(p.String(), dir+"/"), ": "))
				}
				want := strings.NewReplacer("DIR", dir, "LISTEN", port).Replace(tt.want)
				if strings.Join(got, "\n") != want {
					t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), want)
				}
			})
		}
	})
}

// -t says yes to a port that is taken. Only the proof of a reload finds it out.
func TestValidDoesNotMeanThatThePortIsFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		write(t, dir, map[string]string{"nginx.conf": peer.NginxMain(dir) + "events {}\nhttp {" + peer.NginxTemp(dir) + "server { listen " + taken.Addr().String() + "; } }"})
		if r := (Validator{Program: prog.Path, Prefix: dir, Conf: dir + "/nginx.conf"}).Check(t.Context()); r.Verdict != Valid {
			t.Errorf("%+v", r)
		}
	})
}

// nginx waits for ever for somebody to write into a FIFO.
func TestIncludedFIFOHitsTheDeadline(t *testing.T) {
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		write(t, dir, map[string]string{"nginx.conf": peer.NginxMain(dir) + "events {}\ninclude pipe;\n"})
		if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r := Validator{Program: prog.Path, Prefix: dir, Conf: dir + "/nginx.conf", Deadline: time.Second}.Check(t.Context())
		if r.Verdict != Unknown || !strings.Contains(r.Why, "did not end in time") || time.Since(began) > 10*time.Second {
			t.Errorf("%+v after %s", r, time.Since(began))
		}
		all, err := processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if cmdline, err := readProc(p.pid, "cmdline"); err == nil && p.state != 'Z' && strings.Contains(string(cmdline), dir) {
				t.Errorf("process %d still runs: %q", p.pid, cmdline)
			}
		}
	})
}

func TestValidatorThatIsNoNginxIsUnknown(t *testing.T) {
	dir := t.TempDir()
	script := func(text string) string {
		path := filepath.Join(dir, fmt.Sprintf("stub%d", len(text)))
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, program := range map[string]string{
		"absent":          filepath.Join(dir, "absent"),
		"relative":        "nginx",
		"a folder":        dir,
		"killed":          script("kill -9 $$"),
		"crashed":         script("kill -SEGV $$"),
		"killed as nginx": script("echo 'nginx: [emerg] a in /b:1' >&2; kill -9 $$"),
		"silent failure":  script("exit 1"),
		"missing library": script("echo 'error while loading shared libraries: libssl.so' >&2; exit 127"),
		"too slow":        script("sleep 60"),
	} {
		t.Run(name, func(t *testing.T) {
			r := Validator{Program: program, Conf: "/n", Deadline: 300 * time.Millisecond}.Check(t.Context())
			if r.Verdict != Unknown || r.Why == "" || strings.Contains(r.Why, "\n") {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestMessages(t *testing.T) {
	src := lbconfig.NewSource("/etc/n", []byte("a;\n  foo on; # foo\n"))
	sources := func(path string) *lbconfig.Source {
		if path == "/etc/n" {
			return src
		}
		return nil
	}
	tests := map[string]struct{ output, want string }{
		"short form":            {"nginx: [emerg] unknown directive \"on\" in /etc/n:2\nnginx: configuration file /etc/n test failed\n", `/etc/n:2:7: error nginx: unknown directive "on"`},
		"long form":             {"2026/11/22 22:06:26 [emerg] 31974#31974: host not found in /x y/n in:4\n", `/x y/n in:4:1: error nginx: host not found`},
		"both forms":            {"nginx: [warn] a in /b:1\n2026/11/22 22:06:26 [warn] 1#1: a in /b:1\n", "/b:1:1: warning nginx: a"},
		"word stands twice":     {"nginx: [emerg] unknown directive \"foo\" in /etc/n:2\n", `/etc/n:2:1: error nginx: unknown directive "foo"`},
		"no place":              {"nginx: [emerg] no \"events\" section in configuration\n", `: error nginx: no "events" section in configuration`},
		"a line end in a word":  {"nginx: [emerg] unknown directive \"a\nb\" in /etc/n:2\n", `/etc/n:2:1: error nginx: unknown directive "a b"`},
		"escapes of a terminal": {"nginx: [emerg] unknown directive \"\x1b[31m\" in /etc/n:1\n", `/etc/n:1:1: error nginx: unknown directive " [31m"`},
		"notice":                {"nginx: [notice] signal process started\n", ": info nginx: signal process started"},
		"nothing":               {"", ""},
		"not a message":         {"Segmentation fault\n", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range ParseMessages(tt.output, sources) {
				got = append(got, p.String())
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("got %s", strings.Join(got, "\n"))
			}
		})
	}
}

func FuzzParseMessages(f *testing.F) {
	f.Add("nginx: [emerg] unknown directive \"on\" in /etc/n:2\nnginx: configuration file /etc/n test failed\n", "a;\n on;")
	f.Add("2026/11/22 22:06:26 [warn] 1#1: *7 a \"\n\" in b in /b:999999999\n", "")
	f.Fuzz(func(t *testing.T, output, file string) {
		src := lbconfig.NewSource("f", []byte(file))
		for _, p := range ParseMessages(output, func(string) *lbconfig.Source { return src }) {
			if strings.ContainsAny(p.Text, "\r\n\x1b") || p.Line < 0 || p.Col > len(src.Line(p.Line)) {
				t.Errorf("bad problem %+v", p)
			}
		}
		refusal(output, 1)
	})
}
