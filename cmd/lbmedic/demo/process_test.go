package demo

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sh starts a shell script as a process; printed waits until it has printed a word.
func sh(t *testing.T, script string) *process {
	t.Helper()
	p, err := startProcess("script", "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(time.Nanosecond) })
	return p
}

func printed(t *testing.T, p *process, word string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(p.log.String(), word) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never printed %q: %q", word, p.log.String())
		}
	}
}

func TestAProcessThatEndsWhenAskedIsStopped(t *testing.T) {
	p := sh(t, `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	printed(t, p, "up")
	if err := p.stop(10 * time.Second); err != nil {
		t.Error(err)
	}
	if !strings.Contains(p.log.String(), "bye") || p.alive() == nil {
		t.Errorf("alive: %v, log %q", p.alive(), p.log.String())
	}
	if err := p.stop(time.Second); err != nil {
		t.Errorf("stopping it again: %v", err)
	}
}

func TestAProcessThatDoesNotEndIsKilledWithWhatItStarted(t *testing.T) {
	p := sh(t, `trap '' TERM; sleep 1000 & echo child $!; echo up; wait; while :; do sleep 1; done`)
	printed(t, p, "up")
	text, _, _ := strings.Cut(strings.TrimPrefix(p.log.String(), "child "), "\n")
	child, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	err = p.stop(20 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("%v", err)
	}
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for gone := false; !gone; {
		// Its parent is gone, so it stays a zombie until its new parent looks after it.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		gone = errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || strings.Contains(string(stat), ") Z ")
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("process %d is still there", child)
		}
	}
}

func TestAProcessThatWasSuspendedCanBeStopped(t *testing.T) {
	p := sh(t, `trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	printed(t, p, "up")
	if err := syscall.Kill(p.pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.stop(10 * time.Second); err != nil {
		t.Error(err)
	}
}

func TestHowAProcessEndedIsKept(t *testing.T) {
	p := sh(t, `echo no; exit 7`)
	<-p.ended
	if err := p.alive(); err == nil || err.Error() != "script ended: exit status 7" {
		t.Errorf("%v", err)
	}
	if _, err := startProcess("nothing", "/nonexistent/program"); err == nil {
		t.Error("a program that does not exist was started")
	}
}

func TestAProcessGetsNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("LBMEDIC_CONFIG", "/etc/other.yaml")
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	p := sh(t, `env; echo done`)
	<-p.ended
	if text := p.log.String(); strings.Contains(text, "LBMEDIC") || strings.Contains(text, "NOTIFY") || !strings.Contains(text, "PATH=") {
		t.Errorf("%q", text)
	}
}

func TestATailKeepsTheEnd(t *testing.T) {
	var log tail
	for i := range 10000 {
		fmt.Fprintf(&log, "line %d\n", i)
	}
	if got := log.String(); len(got) > maxTail || !strings.HasSuffix(got, "line 9999\n") {
		t.Errorf("%d bytes that end with %q", len(got), got[len(got)-20:])
	}
	log.Write(make([]byte, 3*maxTail))
	if got := log.String(); len(got) != maxTail {
		t.Errorf("%d bytes", len(got))
	}
}
