package main

import (
	"bufio"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

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
	peertest.NothingLeft(t, program, timeline.String())
}
