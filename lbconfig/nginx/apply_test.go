package nginx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// farm is a real nginx before three backends, all under load.
type farm struct {
	nginx    *peer.Nginx
	instance *Instance
	address  string
	backends []*backend
	conf     string
}

type backend struct {
	name string
	hits atomic.Int64
}

func newFarm(t *testing.T, prog peer.Program) *farm {
	t.Helper()
	dir := peertest.Dir(t)
	f := &farm{address: fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))}
	servers := ""
	for range 3 {
		b := &backend{}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.hits.Add(1)
			io.WriteString(w, b.name)
		}))
		t.Cleanup(s.Close)
		b.name = s.Listener.Addr().String()
		f.backends = append(f.backends, b)
		servers += "        server " + b.name + "; # " + b.name + "\n"
	}
	f.conf = peer.NginxMain(dir) + "events {}\nhttp {\n    access_log off;\n" + peer.NginxTemp(dir) + "    upstream web {\n" + servers +
		"    }\n    server {\n        listen " + f.address + ";\n        location / { proxy_pass http://web; }\n    }\n}\n"
	f.nginx = peertest.Nginx(t, prog, dir, f.conf, f.address)
	f.instance = &Instance{Validator: Validator{Program: prog.Path, Prefix: dir, Conf: f.nginx.Config},
		PIDFile: f.nginx.PIDFile, LogFile: filepath.Join(dir, "error.log")}
	waitFor(t, "the pid in the pid file, and two workers", func() bool { // nginx makes the file before it writes into it
		m, err := openMaster(f.instance.PIDFile, "", f.instance.sameConf)
		if err != nil {
			return false
		}
		m.close()
		workers, err := Workers(m.pid)
		return err == nil && len(workers) == 2
	})
	return f
}

// ask sends one POST over a new connection and gives the backend that answered.
func (f *farm) ask() (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Post("http://"+f.address, "text/plain", strings.NewReader("x"))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// load asks until it is stopped.
type load struct {
	asked, lost atomic.Int64
	first       atomic.Value // the first error
	stop        func()
}

func (f *farm) load(t *testing.T) *load {
	l := &load{}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := f.ask(); err != nil {
					l.lost.Add(1)
					l.first.CompareAndSwap(nil, err.Error())
				}
				l.asked.Add(1)
			}
		})
	}
	l.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(l.stop)
	return l
}

// more waits until n requests were answered in all.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	waitFor(t, "more requests", func() bool { return l.asked.Load() >= n })
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}

func noProbe(context.Context) error { return nil }

// set drains or returns a server and has the effect proved by asking.
func (f *farm) set(t *testing.T, server string, down bool) Outcome {
	t.Helper()
	base := f.instance.Load()
	edits, err := SetDown(base, "web", server, down)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.instance.Apply(t.Context(), base, edits, func(context.Context) error { _, err := f.ask(); return err })
	if err != nil || !out.Applied {
		t.Fatalf("%v, %+v", err, out)
	}
	return out
}

func (f *farm) holds(t *testing.T, want string) {
	t.Helper()
	got, err := os.ReadFile(f.nginx.Config)
	if err != nil || string(got) != want {
		t.Errorf("%v; the file holds\n%s\nwant\n%s", err, got, want)
	}
}

func TestDrainedServerGetsNoNewRequestAndNoneIsLost(t *testing.T) {
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		f := newFarm(t, prog)
		l := f.load(t)
		l.more(t, 100)
		out := f.set(t, f.backends[1].name, true)
		if len(out.Workers) < 2 || out.Report.Verdict != Valid {
			t.Errorf("outcome %+v", out)
		}
		// A request that an old worker took before it was told to stop may still be on its way: wait until those are gone.
		waitFor(t, "old workers to end", func() bool {
			workers, err := Workers(f.nginx.PID())
			return err == nil && !slices.ContainsFunc(workers, func(w Worker) bool { return w.ShuttingDown })
		})
		before := []int64{f.backends[0].hits.Load(), f.backends[1].hits.Load(), f.backends[2].hits.Load()}
		l.more(t, l.asked.Load()+300)
		for i, b := range f.backends {
			if got := b.hits.Load() - before[i]; (got == 0) != (i == 1) {
				t.Errorf("backend %d got %d requests while backend 1 is drained", i, got)
			}
		}
		f.set(t, f.backends[1].name, false)
		before[1] = f.backends[1].hits.Load()
		l.more(t, l.asked.Load()+100)
		if f.backends[1].hits.Load() == before[1] {
			t.Error("the returned server gets no requests")
		}
		f.holds(t, f.conf)
		l.stop()
		if l.lost.Load() > 0 {
			t.Errorf("lost %d of %d, the first: %v", l.lost.Load(), l.asked.Load(), l.first.Load())
		}
		t.Logf("0 of %d requests lost", l.asked.Load())
	})
}

// replace makes an edit of the main file.
func (f *farm) replace(t *testing.T, old, with string) (*Closure, []FileEdit) {
	t.Helper()
	base := f.instance.Load()
	at := strings.Index(string(base.Main.Source.Bytes), old)
	if at < 0 {
		t.Fatalf("no %q", old)
	}
	return base, []FileEdit{{base.Main.Source, []lbconfig.Edit{{Span: lbconfig.Span{Start: at, End: at + len(old)}, Text: with}}}}
}

func TestPortThatIsTakenIsDetectedAndRolledBack(t *testing.T) {
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		f := newFarm(t, prog)
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		base, edits := f.replace(t, "        location", "        listen "+taken.Addr().String()+";\n        location")
		out, err := f.instance.Apply(t.Context(), base, edits, noProbe)
		if !errors.Is(err, ErrNotApplied) || !strings.Contains(err.Error(), "still could not bind") || !strings.Contains(err.Error(), taken.Addr().String()) {
			t.Errorf("got %v", err)
		}
		if out.Report.Verdict != Valid || out.Applied || len(out.Restored) != 1 {
			t.Errorf("-t is expected to pass and the file to be restored: %+v", out)
		}
		f.holds(t, f.conf)
		if _, err := f.ask(); err != nil {
			t.Errorf("the old configuration does not serve: %v", err)
		}
	})
}

// Without its error log the same is found by the deadline, and nginx is brought back to the old bytes.
func TestPortThatIsTakenIsDetectedWithoutALog(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	f.instance.LogFile, f.instance.Patience = "", 4*time.Second
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	base, edits := f.replace(t, "        location", "        listen "+taken.Addr().String()+";\n        location")
	_, err = f.instance.Apply(t.Context(), base, edits, noProbe)
	if !errors.Is(err, ErrNotApplied) || !strings.Contains(err.Error(), "no new workers within 4s") || strings.Contains(err.Error(), "reload the old") {
		t.Errorf("got %v", err)
	}
	f.holds(t, f.conf)
}

func TestNameThatDoesNotResolveIsRefused(t *testing.T) {
	peertest.Root(t)
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		f := newFarm(t, prog)
		workers, err := Workers(f.nginx.PID())
		if err != nil {
			t.Fatal(err)
		}
		base, edits := f.replace(t, "    upstream web {", "    upstream web {\n        server nobody.invalid:80;")
		out, err := f.instance.Apply(t.Context(), base, edits, noProbe)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `host not found in upstream "nobody.invalid:80"`) {
			t.Errorf("got %v", err)
		}
		if len(out.Report.Problems) != 1 || out.Report.Problems[0].Col != 16 {
			t.Errorf("problems %v", out.Report.Problems)
		}
		f.holds(t, f.conf)
		if after, err := Workers(f.nginx.PID()); err != nil || !slices.Equal(after, workers) {
			t.Errorf("workers were %v and are %v, %v", workers, after, err)
		}
	})
}

func TestFailedProbeBringsTheOldConfigurationBack(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	base, edits := f.replace(t, "proxy_pass http://web", "return 418")
	sawNew := false
	out, err := f.instance.Apply(t.Context(), base, edits, func(context.Context) error {
		_, err := f.ask()
		sawNew = err != nil && strings.Contains(err.Error(), "418")
		return err
	})
	if !errors.Is(err, ErrNotApplied) || !sawNew || out.Applied {
		t.Errorf("got %v, saw the new configuration: %v", err, sawNew)
	}
	if _, err := f.ask(); err != nil {
		t.Errorf("the old configuration does not serve: %v", err)
	}
	f.holds(t, f.conf)
}

func TestNewerEditWins(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	base := f.instance.Load()
	edits, err := SetDown(base, "web", f.backends[0].name, true)
	if err != nil {
		t.Fatal(err)
	}
	theirs := f.conf + "}" // and it is broken
	if err := f.nginx.WriteConfig(theirs); err != nil {
		t.Fatal(err)
	}
	if _, err := f.instance.Apply(t.Context(), base, edits, noProbe); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
	f.holds(t, theirs)
}

// The edit of one file is not to bring somebody's half-done edit of another one live.
func TestNewerEditOfAnotherFileWins(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	other := filepath.Join(f.nginx.Dir, "other.conf")
	write(t, f.nginx.Dir, map[string]string{"other.conf": "# old\n"})
	f.conf = strings.Replace(f.conf, "    upstream", "    include *.conf.d/x; include other.conf;\n    upstream", 1)
	if err := f.nginx.WriteConfig(f.conf); err != nil {
		t.Fatal(err)
	}
	for name, theirs := range map[string]string{"other.conf": "# new\n", "a.conf.d/x": "# a file more\n"} {
		base := f.instance.Load()
		edits, err := SetDown(base, "web", f.backends[0].name, true)
		if err != nil {
			t.Fatal(err)
		}
		write(t, f.nginx.Dir, map[string]string{name: theirs})
		if _, err := f.instance.Apply(t.Context(), base, edits, noProbe); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: got %v", name, err)
		}
		f.holds(t, f.conf)
	}
	if got, err := os.ReadFile(other); err != nil || string(got) != "# new\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMasterOfAnotherProgramIsNotSignalled(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	f.instance.Exe = "/opt/other/nginx"
	base, edits := f.replace(t, "proxy_pass http://web", "return 204")
	if _, err := f.instance.Apply(t.Context(), base, edits, noProbe); !errors.Is(err, ErrNoMaster) || !strings.Contains(err.Error(), "its program is") {
		t.Errorf("got %v", err)
	}
	f.holds(t, f.conf)
}

// Somebody writes the file while the validator runs: what was judged is not what would be loaded.
func TestEditWhileItIsJudgedWins(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	stub := filepath.Join(f.nginx.Dir, "stub")
	if err := os.WriteFile(stub, []byte("#!/bin/sh\necho '# theirs' >> "+f.nginx.Config+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.instance.Program = stub
	base := f.instance.Load()
	edits, err := SetDown(base, "web", f.backends[0].name, true)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.instance.Apply(t.Context(), base, edits, noProbe)
	if !errors.Is(err, ErrChanged) || len(out.Kept) != 1 || len(out.Restored) != 0 {
		t.Errorf("got %v, %+v", err, out)
	}
	f.holds(t, strings.Replace(f.conf, f.backends[0].name+";", f.backends[0].name+" down;", 1)+"# theirs\n")
}

func TestValidatorThatCannotRunChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	f.instance.Program = filepath.Join(f.nginx.Dir, "absent")
	base := f.instance.Load()
	edits, err := SetDown(base, "web", f.backends[0].name, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.instance.Apply(t.Context(), base, edits, noProbe); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	f.holds(t, f.conf)
}

func TestForeignProcessIsNeverSignalled(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	other := newFarm(t, peertest.One(t, "nginx"))
	stranger := exec.Command("/bin/sleep", "60")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	// It bears the title of our master and is another program.
	impostor := exec.Command("/bin/sh", "-c", `exec -a "$0" /bin/sleep 60`, "nginx: master process /usr/sbin/nginx -c "+f.nginx.Config)
	impostor.Path, impostor.Args[0] = "/bin/bash", "bash"
	if err := impostor.Start(); err != nil {
		t.Fatal(err)
	}
	ended := func(c *exec.Cmd) bool { p, err := readProcess(c.Process.Pid); return err != nil || p.state == 'Z' }
	t.Cleanup(func() {
		for _, c := range []*exec.Cmd{stranger, impostor} {
			if err := c.Process.Kill(); err != nil {
				t.Error(err)
			}
			_ = c.Wait() // it was killed
		}
	})
	waitFor(t, "the impostor's title", func() bool {
		raw, err := readProc(impostor.Process.Pid, "cmdline")
		_, ok := ParseMaster(raw)
		return err == nil && ok
	})
	workers, err := Workers(other.nginx.PID())
	if err != nil {
		t.Fatal(err)
	}
	worker, err := Workers(f.nginx.PID())
	if err != nil || len(worker) == 0 {
		t.Fatal(worker, err)
	}
	pidFile := filepath.Join(f.nginx.Dir, "stale.pid")
	f.instance.PIDFile = pidFile
	for name, text := range map[string]string{
		"a stranger": strconv.Itoa(stranger.Process.Pid) + "\n", "an impostor": strconv.Itoa(impostor.Process.Pid), "another nginx": strconv.Itoa(other.nginx.PID()),
		"a worker": strconv.Itoa(worker[0].PID), "nobody": "4194303\n", "no number": "nginx\n", "empty": "", "process 1": "1\n", "negative": "-1\n", "huge": "99999999999999999999\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(pidFile, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			base := f.instance.Load()
			edits, err := SetDown(base, "web", f.backends[0].name, true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.instance.Apply(t.Context(), base, edits, noProbe); !errors.Is(err, ErrNoMaster) {
				t.Errorf("got %v", err)
			}
			f.holds(t, f.conf)
		})
	}
	if ended(stranger) || ended(impostor) {
		t.Error("a foreign process was signalled")
	}
	if after, err := Workers(other.nginx.PID()); err != nil || !slices.Equal(after, workers) {
		t.Errorf("another nginx was reloaded: %v, %v, %v", workers, after, err)
	}
}

func TestReloadsAreASecondApart(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	var starts []Ticks
	for _, down := range []bool{true, false, true} {
		out := f.set(t, f.backends[0].name, down)
		starts = append(starts, out.Workers[len(out.Workers)-1].Start)
	}
	for i := range starts[1:] {
		if gap := starts[i+1].since(starts[i]); gap < reloadGap {
			t.Errorf("two reloads %s apart", gap)
		}
	}
}

func TestCancelledApplyRestores(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	f.set(t, f.backends[0].name, true) // so that the next reload has to wait
	drained, err := os.ReadFile(f.nginx.Config)
	if err != nil {
		t.Fatal(err)
	}
	base := f.instance.Load()
	edits, err := SetDown(base, "web", f.backends[0].name, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := f.instance.Apply(ctx, base, edits, noProbe); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	f.holds(t, string(drained))
}

func TestWorkersTellWhoIsShuttingDown(t *testing.T) {
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		f := newFarm(t, prog)
		conn, err := net.Dial("tcp", f.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"); err != nil {
			t.Fatal(err)
		}
		out := f.set(t, f.backends[0].name, true)
		var old, young int
		for _, w := range out.Workers {
			if w.ShuttingDown {
				old++
			} else {
				young++
			}
		}
		if young != 2 || old < 1 {
			t.Errorf("workers %+v", out.Workers)
		}
		running, err := Instances()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(running, func(r Running) bool { return r.PID == f.nginx.PID() })
		if i < 0 || running[i].Arguments.Conf != f.nginx.Config || running[i].Arguments.Prefix != f.nginx.Dir || filepath.Base(running[i].Exe) != "nginx" {
			t.Fatalf("not found: %+v", running)
		}
		if c := Load("/", f.nginx.Config, Disk{Root: running[i].Root}); len(c.Problems) > 0 || len(c.Meaning().Upstreams) != 1 {
			t.Errorf("through its root: %v", c.Problems)
		}
		for _, r := range running {
			if r.Parent == f.nginx.PID() {
				t.Errorf("a worker is taken for a master: %+v", r)
			}
		}
	})
}

// What SetDown counts on: backups serve where all others are down, and all down passes -t and serves nobody.
func TestBackupsServeWhereAllOthersAreDown(t *testing.T) {
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		f := newFarm(t, prog)
		text := f.conf
		for i, word := range []string{" down;", " down;", " backup;"} {
			text = strings.Replace(text, f.backends[i].name+";", f.backends[i].name+word, 1)
		}
		replaceAll := func(with string) error {
			base, edits := f.replace(t, string(f.instance.Load().Main.Source.Bytes), with)
			_, err := f.instance.Apply(t.Context(), base, edits, func(context.Context) error { _, err := f.ask(); return err })
			return err
		}
		if err := replaceAll(text); err != nil {
			t.Error(err)
		}
		err := replaceAll(strings.ReplaceAll(text, " backup;", " backup down;"))
		if !errors.Is(err, ErrNotApplied) || !strings.Contains(err.Error(), "502") {
			t.Errorf("all down: %v", err)
		}
		if _, err := f.ask(); err != nil {
			t.Errorf("not brought back: %v", err)
		}
	})
}

// From a process that was found to an instance that can be changed, without being told anything.
func TestFoundInstanceCanBeChanged(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	running, err := Instances()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(running, func(r Running) bool { return r.PID == f.nginx.PID() })
	if i < 0 {
		t.Fatalf("not found in %+v", running)
	}
	r := running[i]
	build, err := BuildOf(t.Context(), r.Exe)
	if err != nil {
		t.Fatal(err)
	}
	found := NewInstance(r.Exe, r.Arguments, build, r.Cwd)
	if found.Conf != f.instance.Conf || found.PIDFile != f.instance.PIDFile || found.LogFile != f.instance.LogFile || found.Prefix != f.instance.Prefix {
		t.Errorf("found %+v, want %+v", found, f.instance)
	}
	found.Exe = r.Exe
	f.instance = found
	f.set(t, f.backends[2].name, true)
}

func TestInstanceTakesThePathsThatWin(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"n": "pid run/file.pid; error_log logs/file.log; events {}", "bare": "events {}", "sys": "error_log syslog:server=unix:/x;"})
	b := Build{Prefix: dir, Conf: dir + "/n", PID: "/build.pid", ErrorLog: "stderr"}
	for name, tt := range map[string]struct {
		a        Arguments
		pid, log string
	}{
		"the file's":        {Arguments{}, dir + "/run/file.pid", dir + "/logs/file.log"},
		"the build's":       {Arguments{Conf: "bare"}, "/build.pid", ""},
		"those of -g":       {Arguments{Globals: "pid /g.pid; error_log /g.log;"}, "/g.pid", "/g.log"},
		"-e where no other": {Arguments{Conf: "bare", ErrorLog: "/e.log"}, "/build.pid", "/e.log"},
		"syslog":            {Arguments{Conf: "sys"}, "/build.pid", ""},
	} {
		if i := NewInstance("/usr/sbin/nginx", tt.a, b, "/"); i.PIDFile != tt.pid || i.LogFile != tt.log {
			t.Errorf("%s: pid %s log %s", name, i.PIDFile, i.LogFile)
		}
	}
}

func TestDeadMasterIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	base, edits := f.replace(t, "proxy_pass http://web", "return 204")
	m, err := openMaster(f.instance.PIDFile, "", f.instance.sameConf)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	f.nginx.Stop()
	if err := m.signal(syscall.SIGHUP); err == nil {
		t.Error("signalled a process that has ended")
	}
	if _, err := f.instance.Apply(t.Context(), base, edits, noProbe); !errors.Is(err, ErrNoMaster) {
		t.Errorf("got %v", err)
	}
	f.holds(t, f.conf)
}

// A write may fail before the new bytes are there, or behind that. Only what somebody else wrote counts as kept.
func TestFailedWriteKeepsNothingOfOthers(t *testing.T) {
	dir := t.TempDir()
	name := strings.Repeat("n", 250) // so long that there is no room for a temporary name beside it
	const text = "http { upstream u { server a; server b; } }"
	write(t, dir, map[string]string{name: text})
	i := &Instance{Validator: Validator{Conf: filepath.Join(dir, name)}}
	base := i.Load()
	edits, err := SetDown(base, "u", "a:80", true)
	if err != nil {
		t.Fatal(err)
	}
	c := change{i: i, base: base, tree: overlay{Disk{}, map[string][]byte{}}}
	if err := c.prepare(edits); err != nil {
		t.Fatal(err)
	}
	if err := c.write(); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("got %v", err)
	}
	if err := c.restore(); err != nil || len(c.out.Kept) > 0 {
		t.Errorf("kept %v, %v", c.out.Kept, err)
	}
	write(t, dir, map[string]string{name: "theirs"})
	if err := c.restore(); err != nil || len(c.out.Kept) != 1 {
		t.Errorf("kept %v, %v", c.out.Kept, err)
	}
}

func TestFilesThatAreNewerThanTheWorkersArePending(t *testing.T) {
	t.Parallel()
	f := newFarm(t, peertest.One(t, "nginx"))
	dir := filepath.Dir(f.nginx.Config)
	is := func(what string, want bool) {
		t.Helper()
		if got, err := f.instance.Pending(f.instance.Load()); err != nil || (len(got) > 0) != want {
			t.Errorf("%s: got %v, %v", what, got, err)
		}
	}
	live := func() {
		t.Helper()
		if out, err := f.instance.Apply(t.Context(), f.instance.Load(), nil, noProbe); err != nil || !out.Applied {
			t.Fatal(out, err)
		}
		is("after a reload", false)
	}
	live()

	long := time.Now().Add(-time.Hour)
	if err := f.nginx.WriteConfig(strings.Replace(f.conf, "http {", "http {\n    include more.d/*;", 1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(f.nginx.Config, long, long); err != nil {
		t.Fatal(err)
	}
	is("a new file that says it is old", true)
	live()

	write(t, dir, map[string]string{"there": "# nothing\n"})
	live()
	if err := os.Mkdir(filepath.Join(dir, "more.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../there", filepath.Join(dir, "more.d", "link")); err != nil {
		t.Fatal(err)
	}
	is("a new link to an old file", true)
	live()

	// A worker that replaces a dead one is younger than the file, and runs with what its master knows.
	if err := f.nginx.WriteConfig(f.conf); err != nil {
		t.Fatal(err)
	}
	workers, err := Workers(f.nginx.PID())
	if err != nil || len(workers) == 0 {
		t.Fatal(workers, err)
	}
	youngest := workers[len(workers)-1]
	if err := syscall.Kill(youngest.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a worker in its place", func() bool {
		now, err := Workers(f.nginx.PID())
		return err == nil && len(now) == 2 && now[1].PID != youngest.PID && now[0].PID != youngest.PID
	})
	is("with a worker that replaced a dead one", true)

	f.nginx.Stop()
	if _, err := f.instance.Pending(f.instance.Load()); !errors.Is(err, ErrNoMaster) {
		t.Errorf("without a master: %v", err)
	}
}
