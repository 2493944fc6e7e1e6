package nginx

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/child"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

func TestMasterIsKnownByItsTitle(t *testing.T) {
	tests := map[string]struct {
		cmdline string
		want    Arguments
		ok      bool
	}{
		"bare":             {"nginx: master process /usr/sbin/nginx\x00", Arguments{Program: "/usr/sbin/nginx"}, true},
		"Debian's unit":    {"nginx: master process /usr/sbin/nginx -g daemon on; master_process on;\x00\x00\x00", Arguments{Program: "/usr/sbin/nginx", Globals: "daemon on; master_process on;"}, true},
		"docker":           {"nginx: master process nginx -g daemon off;\x00", Arguments{Program: "nginx", Globals: "daemon off;"}, true},
		"all":              {"nginx: master process nginx -q -p /p -c c.conf -e /e -g a b; -s\x00", Arguments{"nginx", "/p", "c.conf", "a b;", "/e"}, true},
		"glued":            {"nginx: master process nginx -p/p -c/c -ga;\x00", Arguments{"nginx", "/p", "/c", "a;", ""}, true},
		"globals first":    {"nginx: master process nginx -g user a; pid b; -c /c\x00", Arguments{"nginx", "", "/c", "user a; pid b;", ""}, true},
		"value is missing": {"nginx: master process nginx -c\x00", Arguments{Program: "nginx"}, true},
		"worker":           {"nginx: worker process\x00", Arguments{}, false},
		"editor":           {"vim\x00nginx: master process\x00", Arguments{}, false},
		"no program":       {"nginx: master process \x00", Arguments{}, false},
		"kernel thread":    {"", Arguments{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, ok := ParseMaster([]byte(tt.cmdline)); got != tt.want || ok != tt.ok {
				t.Errorf("got %+v, %v", got, ok)
			}
		})
	}
}

func TestWorkerIsKnownByItsTitle(t *testing.T) {
	for cmdline, want := range map[string][2]bool{
		"nginx: worker process\x00\x00":                       {false, true},
		"nginx: worker process is shutting down\x00":          {true, true},
		"nginx: cache manager process\x00":                    {false, false},
		"nginx: worker process of somebody else\x00":          {false, false},
		"nginx: master process /usr/sbin/nginx -c a.conf\x00": {false, false},
	} {
		if down, ok := parseWorker([]byte(cmdline)); down != want[0] || ok != want[1] {
			t.Errorf("%q: %v %v", cmdline, down, ok)
		}
	}
}

func TestFreshForkIsNoMasterAndAnUpgradeIs(t *testing.T) {
	found := []Running{{PID: 10, Parent: 1}, {PID: 11, Parent: 10}, {PID: 12, Parent: 10}, {PID: 20, Parent: 1}}
	got := dropForks(found, map[int]int{10: 2, 12: 1})
	if len(got) != 3 || got[0].PID != 10 || got[1].PID != 12 || got[2].PID != 20 {
		t.Errorf("got %+v", got)
	}
}

func TestStatIsReadWhateverTheName(t *testing.T) {
	const tail = " S 7 9124 9124 0 -1 4194368 29 0 0 0 0 0 0 0 20 0 1 0 112500 11 22"
	for name, ok := range map[string]bool{"(nginx)": true, "(a) b ()": true, "(a\n(b)": true, "nginx": false} {
		p, got := parseStat([]byte("9124 " + name + tail))
		if got != ok || ok && p != (process{9124, 7, 'S', 112500}) {
			t.Errorf("%q: %+v, %v", name, p, got)
		}
	}
}

func TestBuildTellsItsPaths(t *testing.T) {
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		res, err := child.Command{Path: prog.Path, Args: []string{"-V"}}.Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		b := ParseBuild(string(res.Output))
		if !strings.HasPrefix(b.Version, prog.Version()+".") || b.Prefix != "/usr/share/nginx" || b.Conf != "/etc/nginx/nginx.conf" || b.PID != "/run/nginx.pid" || !b.With["http_ssl_module"] {
			t.Errorf("got %+v", b)
		}
		if prefix, conf, pid, _ := (Arguments{}).Paths(b, "/"); prefix != "/usr/share/nginx" || conf != b.Conf || pid != b.PID {
			t.Errorf("paths %s %s %s", prefix, conf, pid)
		}
	})
}

func TestPathsBeginWhereNginxBeginsThem(t *testing.T) {
	tests := map[string]struct {
		args Arguments
		b    Build
		want string
	}{
		"nothing known":     {Arguments{}, Build{}, "/usr/local/nginx /usr/local/nginx/conf/nginx.conf /usr/local/nginx/logs/nginx.pid /usr/local/nginx/logs/error.log"},
		"prefix given":      {Arguments{Prefix: "/p/", Conf: "c"}, Build{Prefix: "/b", PID: "run/n.pid", ErrorLog: "stderr"}, "/p/ /p/c /p/run/n.pid stderr"},
		"relative prefix":   {Arguments{Prefix: "p"}, Build{Conf: "/etc/n"}, "/cwd/p /etc/n /cwd/p/logs/nginx.pid /cwd/p/logs/error.log"},
		"error log by hand": {Arguments{ErrorLog: "/e"}, Build{Prefix: "/b"}, "/b /b/conf/nginx.conf /b/logs/nginx.pid /e"},
	}
	for name, tt := range tests {
		prefix, conf, pid, log := tt.args.Paths(tt.b, "/cwd")
		if got := strings.Join([]string{prefix, conf, pid, log}, " "); got != tt.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func FuzzArguments(f *testing.F) {
	f.Add([]byte("nginx: master process nginx -q -p /p -c c.conf -g a b; -s\x00"), "configure arguments: --prefix=/a --with-cc-opt='-g -O2' --with-x")
	f.Add([]byte("9124 (nginx) S 7 9124 9124 0 -1 4194368 29 0 0 0 0 0 0 0 20 0 1 0 112500 11"), "nginx version: nginx/1.22.1 (Debian)")
	f.Fuzz(func(t *testing.T, proc []byte, build string) {
		b := ParseBuild(build)
		a, ok := ParseMaster(proc)
		if ok && (a.Program == "" || strings.ContainsAny(a.Program+a.Conf+a.Prefix, "\x00 ")) {
			t.Errorf("%+v", a)
		}
		if _, conf, _, _ := a.Paths(b, "/"); !strings.HasPrefix(conf, "/") {
			t.Errorf("conf %q", conf)
		}
		parseStat(proc)
		parseWorker(proc)
	})
}
