package check

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// sleepAs copies sleep under a name of its own, so that nobody else's processes are counted.
func sleepAs(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile("/bin/sleep")
	if err != nil {
		peertest.Missing(t, "%v", err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// sleeper runs the program until the test ends.
func sleeper(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended, as some tests want
		_ = cmd.Wait()
	})
	return cmd
}

// until waits for the state of a process, as ps shows it.
func until(t *testing.T, pid int, state string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && strings.Contains(string(raw), ") "+state+" ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d is not in state %s: %s %v", pid, state, raw, err)
		}
	}
}

func TestProcessesAreCounted(t *testing.T) {
	name := fmt.Sprintf("lbm%d", os.Getpid())
	path := sleepAs(t, name)
	probe := prober(t, "process", []string{name}, nil)
	sees(t, probe(), healthd.WrongAnswer, "no "+name+" is running")

	first, second := sleeper(t, path), sleeper(t, path)
	until(t, first.Process.Pid, "S")
	until(t, second.Process.Pid, "S")
	o := probe()
	sees(t, o, healthd.OK, fmt.Sprintf("2 %s running (", name))
	if o.Value != 2 || o.Unit != "count" {
		t.Errorf("measured %g %s", o.Value, o.Unit)
	}
	sees(t, prober(t, "process", []string{name}, options{"min": {"3"}})(), healthd.WrongAnswer, "2 "+name+" running, fails below 3")
	sees(t, prober(t, "process", []string{name}, options{"max": {"1"}})(), healthd.WrongAnswer, "2 "+name+" running, fails above 1")
	sees(t, prober(t, "process", []string{name}, options{"args": {path + " 600"}})(), healthd.OK, "2 ")
	sees(t, prober(t, "process", []string{name}, options{"args": {"601"}})(), healthd.WrongAnswer, "no ")
	sees(t, prober(t, "process", []string{name}, options{"user": {strconv.Itoa(os.Geteuid())}})(), healthd.OK, "2 ")
	sees(t, prober(t, "process", []string{name}, options{"user": {"54321"}})(), healthd.WrongAnswer, "no ")
	sees(t, prober(t, "process", []string{name}, options{"user": {"nobody-of-that-name"}})(), healthd.OwnFault, "look up user")

	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, first.Process.Pid, "T")
	sees(t, probe(), healthd.Degraded, fmt.Sprintf("%s stopped by a signal (%d)", name, first.Process.Pid))
	if err := second.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, second.Process.Pid, "Z") // nobody has waited for it yet
	sees(t, probe(), healthd.WrongAnswer, fmt.Sprintf("no %s is running; %s ended, but nobody asked how: zombies (%d)", name, name, second.Process.Pid))
}

// Under hidepid nobody's absence is seen, and nobody is accused of it.
func TestProcessesThatAreHiddenAreNotMissed(t *testing.T) {
	peertest.Root(t)
	dir, err := os.MkdirTemp("", "lbm") // where others may look, as t.TempDir is not
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	proc, file := filepath.Join(dir, "proc"), filepath.Join(dir, "pid")
	name := fmt.Sprintf("lbmh%d", os.Getpid())
	hidden := sleeper(t, sleepAs(t, name))
	until(t, hidden.Process.Pid, "S")
	write(t, file, strconv.Itoa(hidden.Process.Pid))
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(file, 0o644), os.Mkdir(proc, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, hidepid := range []string{"1", "2"} {
		if err := syscall.Mount("proc", proc, "proc", 0, "hidepid="+hidepid); err != nil {
			peertest.Missing(t, "mount proc: %v", err)
		}
		for _, o := range []options{{}, {"pid_file": {file}}} {
			o["proc"] = []string{proc}
			sees(t, asNobody(t, "process", name, o), healthd.OwnFault, "hides the processes of other users (hidepid)")
			sees(t, prober(t, "process", []string{name}, o)(), healthd.OK, "1 "+name) // as root
			o["name"] = []string{name}
			sees(t, asNobody(t, "descriptors", "process", o), healthd.OwnFault, "hides the processes of other users (hidepid)")
		}
		sees(t, asNobody(t, "process", name, options{"proc": {proc}, "user": {"65534"}}), healthd.WrongAnswer, "no "+name+" is running")
		if err := syscall.Unmount(proc, 0); err != nil {
			t.Fatal(err)
		}
	}
	sees(t, asNobody(t, "process", name, nil), healthd.OK, "1 "+name) // where nothing is hidden
}

// asNobody makes one probe on a thread that has given up root, and ends with it.
func asNobody(t *testing.T, kind, target string, o options) healthd.Outcome {
	t.Helper()
	p, err := New(kind, []string{target}, o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan healthd.Outcome)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		const nobody = 65534
		for call, args := range map[uintptr][3]uintptr{syscall.SYS_SETGROUPS: {}, syscall.SYS_SETRESGID: {nobody, nobody, nobody}} {
			if _, _, errno := syscall.RawSyscall(call, args[0], args[1], args[2]); errno != 0 {
				t.Error(errno)
				return
			}
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			t.Error(errno)
			return
		}
		done <- p(t.Context())
	}()
	return <-done
}

func TestHidepidIsReadFromTheMounts(t *testing.T) {
	for options, want := range map[string]bool{"rw": false, "rw,hidepid=invisible": true, "rw,hidepid=2,gid=7": true, "rw,gid=7,hidepid=0": false, "rw,hidepid=off": false} {
		mounts := "22 1 0:20 / /sys rw shared:7 - sysfs sysfs rw\n23 28 0:21 / /proc rw,nosuid - proc proc " + options + "\n"
		if hidesProcesses(mounts, "/proc") != want || hidesProcesses(mounts, "/host/proc") {
			t.Errorf("%s is not %v", options, want)
		}
	}
}

func TestALongNameIsToldFromItsBeginning(t *testing.T) {
	long := fmt.Sprintf("lbm%d-with-a-long-name", os.Getpid())
	until(t, sleeper(t, sleepAs(t, long)).Process.Pid, "S")
	sees(t, prober(t, "process", []string{long}, nil)(), healthd.OK, "1 "+long)
	sees(t, prober(t, "process", []string{long[:15] + "another"}, nil)(), healthd.WrongAnswer, "no ")
}

func TestAPidFileNamesOnlyItsOwnProgram(t *testing.T) {
	name := fmt.Sprintf("lbmp%d", os.Getpid())
	cmd := sleeper(t, sleepAs(t, name))
	until(t, cmd.Process.Pid, "S")
	ended := exec.Command("/bin/true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for about, c := range map[string]struct {
		text   string
		class  healthd.Class
		detail string
	}{
		"the process":      {fmt.Sprintf("%d\n", cmd.Process.Pid), healthd.OK, "1 " + name + " running"},
		"one that ended":   {strconv.Itoa(ended.Process.Pid), healthd.WrongAnswer, "which has ended"},
		"one used again":   {strconv.Itoa(os.Getpid()), healthd.WrongAnswer, "which is another process by now"},
		"no number":        {"pid: 7", healthd.WrongAnswer, `"pid: 7" is no number of a process`},
		"a negative one":   {"-1", healthd.WrongAnswer, "is no number of a process"},
		"nothing":          {"", healthd.WrongAnswer, "is no number of a process"},
		"far out of range": {"99999999999", healthd.WrongAnswer, "is no number of a process"},
	} {
		t.Run(about, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			write(t, file, c.text)
			sees(t, prober(t, "process", []string{name}, options{"pid_file": {file}})(), c.class, c.detail)
		})
	}
	sees(t, prober(t, "process", []string{name}, options{"pid_file": {filepath.Join(t.TempDir(), "lost")}})(), healthd.WrongAnswer, "there is no /")
	fifo := filepath.Join(t.TempDir(), "fifo") // which nobody writes to
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	sees(t, prober(t, "process", []string{name}, options{"pid_file": {fifo}})(), healthd.WrongAnswer, "is no number of a process")
}

// Every process waits in the kernel for a moment; only who still does so at the next probe hangs there.
func TestWaitingInTheKernelIsToldTheSecondTime(t *testing.T) {
	dir := recorded(t, "waiting")
	probe := prober(t, "process", []string{"postgres"}, options{"proc": {dir}, "min": {"3"}})
	first := probe()
	sees(t, first, healthd.Degraded, "zombies (104); postgres stopped by a signal (105)")
	if strings.Contains(first.Detail, "hangs") {
		t.Errorf("who waits for a moment is accused: %q", first.Detail)
	}
	stat := filepath.Join(dir, "102", "stat")
	raw, err := os.ReadFile(stat)
	if err != nil {
		t.Fatal(err)
	}
	write(t, stat, strings.Replace(string(raw), " 4001 ", " 9999 ", 1)) // the number was used again
	sees(t, probe(), healthd.Degraded, "postgres hangs in the kernel (state D) (101), as on a disk")
}

func TestDescriptorsAreJudged(t *testing.T) {
	calm, pressed := recorded(t, "calm"), recorded(t, "pressed")
	name := fmt.Sprintf("lbmd%d", os.Getpid())
	cmd := sleeper(t, sleepAs(t, name))
	until(t, cmd.Process.Pid, "S")
	for about, c := range map[string]struct {
		target string
		o      options
		class  healthd.Class
		detail string
	}{
		"calm":              {"host", options{"proc": {calm}}, healthd.OK, "this host has 1184 descriptors open"},
		"used up":           {"host", options{"proc": {pressed}}, healthd.WrongAnswer, "this host has 9700 descriptors open of 10000, 97%, fails above 95%"},
		"nearly":            {"host", options{"proc": {pressed}, "fail": {"98"}}, healthd.Degraded, "warns above 80%, fails above 98%"},
		"this host":         {"host", nil, healthd.OK, "this host has "},
		"cannot be seen":    {"host", options{"proc": {recorded(t, "waiting")}}, healthd.OwnFault, "file-nr: no such file"},
		"a process":         {"process", options{"name": {name}}, healthd.OK, fmt.Sprintf("%s %d has ", name, cmd.Process.Pid)},
		"no process":        {"process", options{"name": {name + "x"}}, healthd.WrongAnswer, "no " + name + "x is running"},
		"its own, too many": {"process", options{"name": {name}, "warn": {"0"}, "fail": {"0"}}, healthd.WrongAnswer, "fails above 0%"},
	} {
		t.Run(about, func(t *testing.T) { sees(t, prober(t, "descriptors", []string{c.target}, c.o)(), c.class, c.detail) })
	}
	for about, o := range map[string]options{"none": nil, "a path": {"name": {"/usr/sbin/nginx"}}} {
		if _, err := New("descriptors", []string{"process"}, o); err == nil {
			t.Errorf("%s is a name", about)
		}
	}
	if _, err := New("descriptors", []string{"host"}, options{"name": {"nginx"}}); err == nil {
		t.Error("the host has a name")
	}
}

func FuzzParseFileNr(f *testing.F) {
	f.Add("1184\t0\t9223372036854775807\n")
	f.Add("-1 0 1")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseFileNr(text); err == nil && !(d.share() >= 0) {
			t.Errorf("parseFileNr(%q) = %v", text, d)
		}
	})
}

func FuzzParsePID(f *testing.F) {
	f.Add("1893\n")
	f.Add(" 7 \nmore")
	f.Add("2147483648")
	f.Fuzz(func(t *testing.T, text string) {
		if pid, err := parsePID(text); err == nil && pid <= 0 {
			t.Errorf("parsePID(%q) = %d", text, pid)
		}
	})
}
