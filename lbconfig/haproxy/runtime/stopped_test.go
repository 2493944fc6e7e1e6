package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAStoppedWorkerLeavesTheOutcomeUnknownUntilItIsReadBack(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		info, err := f.client.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := New(Settings{Address: f.Socket, Timeout: 300 * time.Millisecond})
		kept, _, closeKept, err := f.client.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer closeKept()
		freeze(t, info.PID)
		defer syscall.Kill(info.PID, syscall.SIGCONT)
		// Met before the greeting: nothing is sent.
		start := time.Now()
		report, err := c.Do(t.Context(), Generation{}, SetState("web", "app1", Drain))
		if !errors.Is(err, ErrTimeout) || report.Sent || !strings.Contains(err.Error(), "HAProxy is stopped") || time.Since(start) > 2*time.Second {
			t.Errorf("%+v, %v after %v", report, err, time.Since(start))
		}
		// Met between greeting and command: the command may have reached it.
		late := Report{Before: info, Sent: true, Results: []Result{{Command: SetState("web", "app1", Drain)}}}
		kept.conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
		err = kept.run(&late, []string{late.Results[0].Command.String(), "show info"})
		if !errors.Is(err, ErrTimeout) || !late.All(Unknown) {
			t.Errorf("%+v, %v", late, err)
		}
		closeKept()
		if _, _, err := c.Resolve(t.Context(), late.Results[0].Command); !errors.Is(err, ErrTimeout) {
			t.Errorf("resolve while it is stopped: %v", err)
		}
		if err := syscall.Kill(info.PID, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the command to have been carried out", func() bool {
			truths, _, err := c.Resolve(t.Context(), late.Results[0].Command)
			return err == nil && truths[0] == Holds
		})
	})
}

func TestHAProxyItselfEndsAForgottenConversation(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		c := New(Settings{Address: f.Socket, Timeout: time.Second})
		talk, _, closeTalk, err := c.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer closeTalk()
		talk.conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := talk.answer(); !errors.Is(err, ErrTruncated) {
			t.Errorf("after `set timeout cli 2`, and with `stats timeout 20s`: %v", err)
		}
	})
}

// freeze stops a process and returns once each of its threads stands still.
func freeze(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every thread to stand still", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(threads) == 0 {
			t.Fatalf("threads of %d: %v", pid, err)
		}
		for _, path := range threads {
			stat, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(stat), ") T ") {
				return false
			}
		}
		return true
	})
}
