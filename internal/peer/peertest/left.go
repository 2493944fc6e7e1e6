package peertest

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var folder = regexp.MustCompile(`/tmp/lbm[0-9]+`)

// NothingLeft fails the test if something of the demo whose timeline is given remains after up to 5 s: its folder, its own
// processes (program is the lbmedic that ran it), or the peers that it started.
func NothingLeft(t testing.TB, program, timeline string) {
	t.Helper()
	dir := folder.FindString(timeline)
	if dir == "" {
		t.Fatalf("the timeline names no folder:\n%s", timeline)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	// A `haproxy -c` that was under way ends by itself a moment later.
	var left []string
	for deadline := time.Now().Add(5 * time.Second); ; {
		if left = ofDemo(t, program, dir); len(left) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for _, line := range left {
		t.Errorf("still runs: %s", line)
	}
}

// ofDemo are the processes that belong to a demo in that folder.
func ofDemo(t testing.TB, program, dir string) (lines []string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(processes) == 0 {
		t.Fatalf("no process can be seen: %v", err)
	}
	if to, err := filepath.EvalSymlinks(program); err == nil {
		program = to
	}
	for _, p := range processes {
		line, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		text := strings.ReplaceAll(string(line), "\x00", " ")
		exe, _ := os.Readlink(filepath.Join(p, "exe")) // another user's cannot be read and is none of ours
		ours := exe == program && strings.Contains(text, " demo")
		if ours || strings.Contains(text, dir+"/") || strings.HasPrefix(text, "nginx: worker") && inFolder(p, dir) {
			lines = append(lines, p+" "+text)
		}
	}
	return lines
}

// inFolder says whether a process has a file below a folder open. A worker of nginx names no folder otherwise.
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
