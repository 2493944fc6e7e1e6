package child

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRunReportsStatusAndOutput(t *testing.T) {
	tests := map[string]struct {
		script string
		code   int
		signal string
		output string
	}{
		"a clean end":      {script: "echo out; echo err >&2", output: "out\nerr\n"},
		"a failure":        {script: "echo why; exit 7", code: 7, output: "why\n"},
		"ended by signal":  {script: "kill -KILL $$", code: -1, signal: "killed"},
		"no environment":   {script: `echo "[$HOME]"`, output: "[]\n"},
		"its own work dir": {script: "pwd", output: "/\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			res, err := Command{Path: "/bin/sh", Args: []string{"-c", tt.script}}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if res.PID < 2 || res.Code != tt.code || res.Signal != tt.signal || string(res.Output) != tt.output {
				t.Errorf("got code %d signal %q output %q", res.Code, res.Signal, res.Output)
			}
		})
	}
}

func TestRunBoundsOutput(t *testing.T) {
	res, err := Command{Path: "/usr/bin/head", Args: []string{"-c", "100000", "/dev/zero"}, Output: 10}.Run(t.Context())
	if err != nil || len(res.Output) != 10 || !res.Truncated {
		t.Errorf("got %d bytes, truncated %v, err %v", len(res.Output), res.Truncated, err)
	}
}

func TestRunRefusesRelativePath(t *testing.T) {
	if _, err := (Command{Path: "sh"}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("got %v", err)
	}
}

// A grandchild that ignores TERM must not outlive the deadline.
func TestRunKillsTheWholeGroupAtTheDeadline(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	script := `sh -c 'trap "" TERM; echo $$ > ` + pidFile + `; while :; do sleep 1; done' & wait`
	_, err := Command{Path: "/bin/sh", Args: []string{"-c", script}, Grace: 50 * time.Millisecond}.Run(ctx)
	if !errors.Is(err, ErrDeadline) {
		t.Fatalf("got %v, want ErrDeadline", err)
	}
	raw, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); !gone(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("grandchild %d still lives", pid)
		}
	}
}

// gone reports whether pid has ended; a zombie that waits for its reaper has ended.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}
