package haproxy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

func TestCommandLines(t *testing.T) {
	tests := map[string]struct{ args, files, check, rest string }{
		"debian":     {"/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock,level,admin", "/etc/haproxy/haproxy.cfg", "-f /etc/haproxy/haproxy.cfg", "true /run/haproxy-master.sock [] "},
		"reloaded":   {"/usr/sbin/haproxy -sf 18004 18005 -x sockpair@3 -W -f a.cfg", "a.cfg", "-f a.cfg", "true  [18004 18005] "},
		"many files": {"haproxy -D -C /etc/haproxy -f a.cfg -f conf.d -L peer1 -n 100 -dM0x50 -dr -- x.cfg y.cfg", "a.cfg conf.d x.cfg y.cfg", "-C /etc/haproxy -f a.cfg -f conf.d -L peer1 -n 100 -dr -- x.cfg y.cfg", "false  [] /etc/haproxy"},
		"cut off":    {"haproxy -f", "", "", "false  [] "},
		"quiet":      {"haproxy -q -V -db -f a.cfg -st", "a.cfg", "-f a.cfg", "false  [] "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := ParseCommandLine(strings.Fields(tt.args))
			rest := fmt.Sprintf("%v %s %v %s", c.Master, c.MasterSocket, c.Old, c.Dir)
			if strings.Join(c.Files, " ") != tt.files || strings.Join(c.Check, " ") != tt.check || rest != tt.rest {
				t.Errorf("%+v", c)
			}
		})
	}
}

func FuzzCommandLine(f *testing.F) {
	f.Add("haproxy\x00-W\x00-sf\x001\x00-f\x00a")
	f.Add("\x00--\x00-f")
	f.Fuzz(func(t *testing.T, cmdline string) {
		c := ParseCommandLine(entries([]byte(cmdline)))
		again := ParseCommandLine(append([]string{c.Program}, c.Check...))
		if !slices.Equal(again.Check, c.Check) || !slices.Equal(again.Files, c.Files) || again.Master || len(again.Old) > 0 {
			t.Errorf("%+v\n%+v", c, again)
		}
	})
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("17993 (haproxy) S 17900 17993 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 1 1"))
	f.Add([]byte("1 (a) b) (c) Z 1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, _, start, ok := parseStat(data); ok && start < 0 {
			t.Error(start)
		}
	})
}

func TestParseStat(t *testing.T) {
	name, state, parent, start, ok := parseStat([]byte("17993 (ha) prox)y) S 17900 17993 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 1 1\n"))
	if !ok || name != "ha) prox)y" || state != 'S' || parent != 17900 || start != 123450*time.Millisecond {
		t.Errorf("%q %c %d %v %v", name, state, parent, start, ok)
	}
}

func process(pid, parent int, start time.Duration, args string) Process {
	a := strings.Fields(args)
	return Process{PID: pid, Parent: parent, Start: start, Root: "/", Dir: "/", Args: a, Command: ParseCommandLine(a)}
}

func TestProcessesAreGroupedIntoInstances(t *testing.T) {
	got := Instances([]Process{
		process(12, 10, 300, "haproxy -sf 11 -W -f /a.cfg"),
		process(10, 1, 100, "haproxy -W -f /a.cfg"),
		process(11, 10, 101, "haproxy -W -f /a.cfg"),
		process(30, 1, 500, "haproxy -sf 20 -f /b.cfg"),
		process(20, 1, 50, "haproxy -f /b.cfg"),
		process(40, 1, 60, "haproxy -f /c.cfg"),
		process(50, 1, 700, "haproxy -W -f /a.cfg"),
	})
	var lines []string
	for _, i := range got {
		line := "-"
		if i.Master != nil {
			line = fmt.Sprint(i.Master.PID)
		}
		for _, w := range i.Workers {
			line += fmt.Sprintf(" %d", w.PID)
		}
		line += fmt.Sprintf(" older %d", len(i.Older()))
		lines = append(lines, line)
	}
	want := []string{"- 20 30 older 1", "- 40 older 0", "10 11 12 older 1", "50 older 0"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q", lines)
	}
	if m := got[2].Main(); m.PID != 10 || got[0].Main().PID != 30 || got[3].Current() != nil {
		t.Errorf("%+v", m)
	}
}

func TestPathsAreAsThisHostSeesThem(t *testing.T) {
	p := process(1, 0, 0, "haproxy -C conf -f a.cfg -f /etc/b.cfg")
	p.Root, p.Dir = "/srv/box", "/srv/box/work"
	if got := p.Paths(); !slices.Equal(got, []string{"/srv/box/work/conf/a.cfg", "/srv/box/etc/b.cfg"}) {
		t.Error(got)
	}
}

func TestRunningProcessesAreFoundOverAReload(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		h := peertest.HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+"global\n hard-stop-after 1h\n"+strings.ReplaceAll(good, "21990", fmt.Sprint(peertest.Port(t))))
		started := time.Now()
		// 2.6 and 3.0 lose a reload signal that follows the start too closely.
		before := instanceOf(t, h.PID(), func(i Instance) bool { return len(i.Workers) == 1 && time.Since(started) > 1500*time.Millisecond })
		if before.Master == nil || before.Master.PID != h.PID() || !before.Master.Command.Master || before.Master.Command.MasterSocket != h.Master {
			t.Fatalf("%+v", before)
		}
		if !slices.Equal(before.Master.Command.Files, []string{h.Config}) {
			t.Errorf("files %q", before.Master.Command.Files)
		}
		first := before.Current()
		if err := h.Reload(); err != nil {
			t.Fatal(err)
		}
		after := instanceOf(t, h.PID(), func(i Instance) bool { return i.Current() != nil && i.Current().PID != first.PID })
		if after.Current().Start < first.Start || !slices.Contains(after.Current().Command.Old, first.PID) {
			t.Errorf("the new worker %+v does not follow %+v", after.Current(), first)
		}
		environ, err := after.Main().Environ("/proc")
		if err != nil {
			t.Fatal(err)
		}
		// The master's own environment and arguments must do for a check, on each version and after a reload.
		v := Validator{Program: prog.Path, Args: after.Main().Command.Check, Env: CheckEnvironment(environ, true)}
		report, err := v.Check(t.Context())
		if err != nil || report.Verdict != Valid || len(report.Problems) > 0 || !slices.Equal(report.Paths, []string{h.Config}) {
			t.Errorf("%+v, %v", report, err)
		}
		gone := *after.Current()
		if now, ok, err := gone.Read("/proc"); !ok || err != nil || now.PID != gone.PID {
			t.Errorf("the worker is not read again: %+v %v", now, err)
		}
		reused := gone
		reused.Start -= time.Second
		if _, ok, err := reused.Read("/proc"); ok || err != nil {
			t.Errorf("another process with that id is taken for it: %v", err)
		}
		h.Stop()
		if _, ok, err := gone.Read("/proc"); ok || err != nil {
			t.Errorf("the worker is still read after its end: %v %v", ok, err)
		}
	})
}

// instanceOf waits until the master's instance is as wanted.
func instanceOf(t *testing.T, master int, want func(Instance) bool) Instance {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		processes, err := Running("/proc")
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range Instances(processes) {
			if i.Master != nil && i.Master.PID == master && want(i) {
				return i
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%+v", Instances(processes))
		}
	}
}

func TestProcessesThatVanishAreLeftOut(t *testing.T) {
	proc := t.TempDir()
	write := func(pid, name, content string) {
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stat := func(name string) string { return "7 (" + name + ") S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 55 0 0" }
	write("7", "stat", stat("haproxy")) // its links are gone already
	write("7", "cmdline", "haproxy\x00-f\x00a\x00")
	write("8", "stat", stat("sleep"))
	write("9", "stat", "garbage")
	if err := os.Mkdir(filepath.Join(proc, "10"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Running(proc)
	if err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Running(filepath.Join(proc, "none")); err == nil {
		t.Error("a missing /proc is no error")
	}
}
