package check

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// trustedDir is a folder of which only we can have written anything: t.TempDir is one only below a sticky /tmp.
func trustedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := trusted(dir); err != nil {
		peertest.Missing(t, "%v", err)
	}
	return dir
}

// runs makes one probe of an exec check, permitted.
func runs(t *testing.T, timeout time.Duration, o options, argv ...string) healthd.Outcome {
	t.Helper()
	p, err := New("exec", argv, o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(trustedDir(t), "lbmedic.yaml")
	write(t, file, "")
	ctx, cancel := context.WithTimeout(PermitExec(t.Context(), file), timeout)
	defer cancel()
	return p(ctx)
}

func TestExitCodesMeanWhatNagiosSays(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		o      options
		class  healthd.Class
		detail string
		value  float64
		unit   string
	}{
		"ok":                 {"echo 'OK - load 0.20|load1=0.200;5.000;10.000;0; load5=0.18'", nil, healthd.OK, "OK - load 0.20", 0.2, "count"},
		"warning":            {"echo 'WARNING: 91% | used=91%;90;97'; echo more; exit 1", nil, healthd.Degraded, "WARNING: 91%", 91, "percent"},
		"critical":           {"echo 'CRITICAL|time=1500ms'; exit 2", nil, healthd.WrongAnswer, "CRITICAL", 1.5, "s"},
		"unknown":            {"echo 'UNKNOWN: no such disk'; exit 3", nil, healthd.OwnFault, "UNKNOWN: no such disk", 0, ""},
		"out of range":       {"exit 77", nil, healthd.OwnFault, "sh ended with 77", 0, ""},
		"plain":              {"echo broken >&2; exit 77", options{"exit": {"plain"}}, healthd.WrongAnswer, "broken", 0, ""},
		"plain warns never":  {"exit 1", options{"exit": {"plain"}}, healthd.WrongAnswer, "sh ended with 1", 0, ""},
		"says nothing":       {"true", nil, healthd.OK, "sh ended with 0", 0, ""},
		"killed":             {"kill -KILL $$", nil, healthd.OwnFault, "sh was ended by a signal: killed", 0, ""},
		"terminal codes":     {`printf '\033[31mred\n'`, nil, healthd.OK, `\x1b[31mred`, 0, ""},
		"stdin is closed":    {"cat; echo read nothing", nil, healthd.OK, "read nothing", 0, ""},
		"no environment":     {`unset LBMEDIC_EXEC _ PWD OLDPWD SHLVL; env | grep -v ^PATH= || echo "only $PATH"`, nil, healthd.OK, "only /usr/sbin:/usr/bin:/sbin:/bin", 0, ""},
		"its environment":    {`[ "$WHO" = 'it is me; $(id)' ] && echo as given`, options{"env": {"WHO=it is me; $(id)"}}, healthd.OK, "as given", 0, ""},
		"its folder":         {"pwd", options{"dir": {"/usr"}}, healthd.OK, "/usr", 0, ""},
		"no new privileges":  {"grep NoNewPrivs /proc/self/status", nil, healthd.OK, `NoNewPrivs:\t1`, 0, ""},
		"an endless output":  {"head -c 1000000 /dev/zero | tr '\\0' x", nil, healthd.OK, "xxx", 0, ""},
		"nobody of the name": {"true", options{"user": {"nobody-of-that-name"}}, healthd.OwnFault, "run as nobody-of-that-name: ", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := runs(t, 30*time.Second, c.o, "/bin/sh", "-c", c.script)
			if sees(t, o, c.class, c.detail); math.Abs(o.Value-c.value) > 1e-9 || o.Unit != c.unit {
				t.Errorf("measured %g %s, want %g %s", o.Value, o.Unit, c.value, c.unit)
			}
		})
	}
}

func TestArgumentsReachTheProgramAsTheyAre(t *testing.T) {
	const hostile = "$(id) `id` ; | > /x ' \" \\ -rf *"
	sees(t, runs(t, 30*time.Second, nil, "/bin/echo", hostile), healthd.OK, "$(id) `id` ;")
	sees(t, runs(t, 30*time.Second, nil, "/usr/bin/printf", "%s", "a b"), healthd.OK, "a b")
	sees(t, runs(t, 30*time.Second, nil, "/usr/bin/lost-program"), healthd.OwnFault, "no such file")
}

func TestAProgramRunsAsSomebodyElse(t *testing.T) {
	peertest.Root(t)
	o := runs(t, 30*time.Second, options{"user": {"65534"}}, "/usr/bin/id")
	if sees(t, o, healthd.OK, "uid=65534"); strings.Contains(o.Detail, "root") {
		t.Errorf("it has a group of root's: %s", o.Detail)
	}
	sees(t, runs(t, 30*time.Second, options{"user": {"65534"}}, "/bin/cat", "/proc/1/environ"), healthd.Degraded, "ermission denied")
}

// What forks, ignores TERM and holds on to its output is gone when the probe is over, and the probe is over in time.
func TestNothingIsLeftOfAProgramThatDoesNotEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	stays := `'trap "" TERM; echo $$ >>` + file + `; while :; do sleep 1; done'`
	script := `trap "" TERM; sh -c ` + stays + ` & setsid sh -c ` + stays + ` & echo $$ >>` + file + `; while :; do sleep 1; done`
	start := time.Now()
	o := runs(t, 2*time.Second, nil, "/bin/sh", "-c", script)
	sees(t, o, healthd.TimedOut, "sh did not end in time, and was killed with all that it had started")
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the probe took %s of 2s", took)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(raw))); n != 3 {
		t.Fatalf("%d processes were started", n)
	}
	for _, text := range strings.Fields(string(raw)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		ended(t, pid)
	}
}

// A program that passes leaves nothing behind either, whatever session it put it in.
func TestNothingIsLeftOfAProgramThatPasses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	script := `setsid sh -c 'echo $$ >>` + file + `; exec sleep 600' >/dev/null 2>&1 & while ! [ -s ` + file + ` ]; do :; done; echo fine`
	sees(t, runs(t, 30*time.Second, nil, "/bin/sh", "-c", script), healthd.OK, "fine")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, pid)
}

// ended waits for the end of a process.
func ended(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); syscall.Kill(pid, 0) == nil; runtime.Gosched() {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d still runs", pid)
		}
	}
}

func TestWhatWasStartedSinceIsFoundAcrossTheEndOfTheNumbers(t *testing.T) {
	for _, c := range []struct {
		n, pid, last int
		want         bool
	}{{101, 100, 200, true}, {200, 100, 200, true}, {100, 100, 200, false}, {99, 100, 200, false}, {201, 100, 200, false}, {32767, 32000, 400, true},
		{400, 32000, 400, true}, {401, 32000, 400, false}, {7, 0, 0, true}} {
		if got := within(c.n, c.pid, c.last); got != c.want {
			t.Errorf("within(%d, %d, %d) = %v", c.n, c.pid, c.last, got)
		}
	}
	cmd := sleeper(t, "/bin/sleep")
	if !slices.Contains(startedSince(cmd.Process.Pid-1), cmd.Process.Pid) || !slices.Contains(startedSince(0), cmd.Process.Pid) {
		t.Error("a process that was just started is not found")
	}
}

// The script is what an interpreter runs, and it is known by a relative name too.
func TestAScriptThatOthersMayWriteIsNotRun(t *testing.T) {
	dir := trustedDir(t)
	script := filepath.Join(dir, "check.sh")
	write(t, script, "echo hello\n")
	for mode, want := range map[os.FileMode]string{0o666: "its argument " + script + " may be written by others", 0o644: "hello"} {
		if err := os.Chmod(script, mode); err != nil {
			t.Fatal(err)
		}
		class := healthd.OwnFault
		if want == "hello" {
			class = healthd.OK
		}
		sees(t, runs(t, 30*time.Second, nil, "/bin/sh", script), class, want)
		sees(t, runs(t, 30*time.Second, options{"dir": {dir}}, "/bin/sh", "check.sh"), class, want)
	}
	sees(t, runs(t, 30*time.Second, nil, "/bin/echo", "/tmp", "/dev/null", "/tmp/lost.sh"), healthd.OK, "/tmp /dev/null /tmp/lost.sh")
}

func TestProgramsAreRunOnlyWhereNobodyElseCouldHaveSaidSo(t *testing.T) {
	peertest.Root(t)
	p, err := New("exec", []string{"/bin/true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sees(t, p(t.Context()), healthd.OwnFault, "programs are not run here")
	sees(t, p(PermitExec(t.Context())), healthd.OwnFault, "no configuration file was named")
	for name, c := range map[string]struct {
		file, dir os.FileMode
		owner     int
		want      string
	}{
		"ours alone":                  {0o644, 0o755, 0, ""},
		"a file for the group":        {0o664, 0o755, 0, "lbmedic.yaml may be written by others (mode 0664); chmod go-w it"},
		"a file for all":              {0o646, 0o755, 0, "may be written by others"},
		"a folder for the group":      {0o644, 0o775, 0, "etc may be written by others"},
		"a folder for all":            {0o644, 0o777, 0, "may be written by others"},
		"a folder for all but sticky": {0o644, 0o777 | os.ModeSticky, 0, ""},
		"somebody else's file":        {0o600, 0o755, 12345, "lbmedic.yaml belongs to user 12345; it must be root's or lbmedic's own"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(trustedDir(t), "etc")
			file := filepath.Join(dir, "lbmedic.yaml")
			write(t, file, "")
			if err := os.Chown(file, c.owner, -1); err != nil {
				t.Fatal(err)
			}
			for path, mode := range map[string]os.FileMode{file: c.file, dir: c.dir} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			link := filepath.Join(trustedDir(t), "link.yaml")
			if err := os.Symlink(file, link); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{file, link} {
				class := healthd.OK
				if c.want != "" {
					class = healthd.OwnFault
				}
				sees(t, p(PermitExec(t.Context(), "/etc/passwd", path)), class, c.want)
			}
		})
	}
	sees(t, p(PermitExec(t.Context(), "/etc/lost.yaml")), healthd.OwnFault, "programs are not run: lstat /etc/lost.yaml: no such file")
}

func TestAProgramThatOthersMayWriteIsNotRun(t *testing.T) {
	program := filepath.Join(trustedDir(t), "plugin")
	write(t, program, "#!/bin/sh\necho hello\n")
	for mode, want := range map[os.FileMode]string{0o777: "plugin may be written by others", 0o755: "hello", 0o644: "permission denied"} {
		if err := os.Chmod(program, mode); err != nil {
			t.Fatal(err)
		}
		class := healthd.OwnFault
		if want == "hello" {
			class = healthd.OK
		}
		sees(t, runs(t, 30*time.Second, nil, program), class, want)
	}
}

func TestExecSettingsAreValidated(t *testing.T) {
	for want, c := range map[string]struct {
		argv []string
		o    options
	}{
		"must be an absolute path":         {[]string{"check_load"}, nil},
		"needs one target":                 {nil, nil},
		"env: an entry is not NAME=value":  {[]string{"/bin/true"}, options{"env": {"x"}}},
		"an argument has a zero byte":      {[]string{"/bin/true", "a\x00b"}, nil},
		"\"odd\" is none of nagios, plain": {[]string{"/bin/true"}, options{"exit": {"odd"}}},
	} {
		if _, err := New("exec", c.argv, c.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q %v: %v", c.argv, c.o, err)
		}
	}
}

func TestPerfdataIsRead(t *testing.T) {
	for data, want := range map[string]string{
		"load1=0.200;5;10;0; load5=7": "0.2 count", "'a label'=5%": "5 percent", "'it''s = 1'=2s;;": "2 s", "size=2KB": "2048 bytes",
		"t=250us": "0.00025 s", "n=-3c;;": "-3 count", "x=1e3": "1000 count",
		"": "", "x": "", "=1": "", "x=": "", "x=U": "", "x=NaN": "", "x=Inf": "", "x=1parsec": "", "'open=1": "", "x=1e999": "", "x=+1": "", "x=1_0": "",
	} {
		value, unit, ok := parsePerfdata(data)
		if got := fmt.Sprintf("%g %s", value, unit); ok != (want != "") || ok && got != want {
			t.Errorf("parsePerfdata(%q) = %q, %v, want %q", data, got, ok, want)
		}
	}
}

func FuzzPlugin(f *testing.F) {
	f.Add([]byte("OK - load average: 0.20|load1=0.200;5.000;10.000;0; load5=0.18\nmore"))
	f.Add([]byte("|'it''s'=5%"))
	f.Add([]byte("\n\nx|y=1e308KB"))
	f.Fuzz(func(t *testing.T, output []byte) {
		said, data := parsePlugin(output)
		if len(said)+len(data) > maxPlugin || strings.Contains(said, "\n") {
			t.Errorf("parsePlugin(%q) = %q, %q", output, said, data)
		}
		value, _, ok := parsePerfdata(data)
		if ok && (math.IsNaN(value) || math.IsInf(value, 0)) {
			t.Errorf("parsePerfdata(%q) = %v", data, value)
		}
	})
}
