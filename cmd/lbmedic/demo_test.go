package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

var demoFolder = regexp.MustCompile(`/tmp/lbm[0-9]+`)

// An impatient person presses ^C again; `timeout -s INT` sends two signals by itself.
func TestADemoThatIsInterruptedAgainLeavesNothing(t *testing.T) {
	haproxy, nginx := peertest.One(t, "haproxy"), peertest.One(t, "nginx")
	program, err := exec.LookPath("lbmedic")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "demo", "--haproxy", haproxy.Path, "--nginx", nginx.Path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var timeline strings.Builder
	lines := bufio.NewReader(out)
	for !strings.Contains(timeline.String(), "answers through it") {
		line, err := lines.ReadString('\n')
		timeline.WriteString(line)
		if err != nil {
			t.Fatalf("it ended before nginx served: %v\n%s", err, timeline.String())
		}
	}
	press := time.NewTicker(5 * time.Millisecond) // two at once may count as one
	defer press.Stop()
	go func() {
		for cmd.Process.Signal(syscall.SIGINT) == nil {
			<-press.C
		}
	}()
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGINT) {
		t.Errorf("%v", err)
	}
	dir := demoFolder.FindString(timeline.String())
	if dir == "" {
		t.Fatalf("the timeline names no folder:\n%s", timeline.String())
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	// A `haproxy -c` that was under way ends by itself a moment later.
	var left []string
	for deadline := time.Now().Add(5 * time.Second); ; {
		if left = running(t, dir, program); len(left) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for _, line := range left {
		t.Errorf("still runs: %s", line)
	}
}

// running are the command lines of the processes that belong to a demo in that folder.
func running(t *testing.T, dir, program string) (lines []string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(processes) == 0 {
		t.Fatalf("no process can be seen: %v", err)
	}
	for _, p := range processes {
		line, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		// A worker of nginx names no folder; it runs the program all the same.
		exe, _ := os.Readlink(filepath.Join(p, "exe"))
		if strings.Contains(string(line), dir+"/") || exe == program || strings.HasPrefix(string(line), "nginx: worker") && inFolder(p, dir) {
			lines = append(lines, p+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}

// inFolder says whether a process has a file below a folder open.
func inFolder(process, dir string) bool {
	names, err := filepath.Glob(filepath.Join(process, "fd", "*"))
	if err != nil {
		return false
	}
	for _, name := range names {
		if file, err := os.Readlink(name); err == nil && strings.HasPrefix(file, dir+"/") {
			return true
		}
	}
	return false
}
