package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// medic is one `lbmedic run` with its own configuration, state and admin socket. It may be ended and started again.
type medic struct {
	t      *testing.T
	name   string
	dir    string
	config string // its file
	client *admin.Client
	cmd    *exec.Cmd
	log    *logged // of all its runs
	ended  chan struct{}
}

// newMedic writes the configuration DIR/NAME.yaml, to which it adds the admin socket and the state. start runs it.
func newMedic(t *testing.T, dir, name, config string) *medic {
	t.Helper()
	config += "admin: {socket: " + filepath.Join(dir, name+".sock") + ", http: off}\nstate: " + filepath.Join(dir, name+".state") + "\n"
	m := &medic{t: t, name: name, dir: dir, config: filepath.Join(dir, name+".yaml"), client: admin.NewClient(filepath.Join(dir, name+".sock")), log: &logged{}}
	if err := os.WriteFile(m.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// start runs the daemon and returns once its admin socket answers.
func (m *medic) start() *medic {
	m.t.Helper()
	m.launch()
	until(m.t, m.name+" answers on its admin socket", func() bool {
		if m.hasEnded() {
			m.t.Fatalf("%s ended: %s", m.name, m.log)
		}
		_, err := m.client.Status(m.t.Context())
		return err == nil
	})
	return m
}

func (m *medic) launch() {
	m.t.Helper()
	cmd := exec.Command(lbmedic.program(m.t), "run", "--config", m.config)
	cmd.Stdout, cmd.Stderr = m.log, m.log
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan struct{})
	m.cmd, m.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // its status is read from ProcessState
		close(ended)
	}()
	m.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		if text := m.log.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") || m.t.Failed() {
			m.t.Errorf("the log of %s:\n%s", m.name, text)
		}
	})
}

func (m *medic) hasEnded() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

// end sends a signal, waits for the end, and returns the exit status: -1 where the signal itself ended it.
func (m *medic) end(s syscall.Signal) int {
	m.t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
	select {
	case <-m.ended:
	case <-time.After(15 * time.Second):
		m.t.Fatalf("%s does not end on %s", m.name, s)
	}
	return m.cmd.ProcessState.ExitCode()
}

// environment is that of the test; a program with the race detector need not linger for a second at its end.
func environment() []string { return append(os.Environ(), "GORACE=atexit_sleep_ms=0") }

// status is the first balancer as the daemon sees it, or empty where the daemon does not answer.
func (m *medic) status() control.Status {
	s, err := m.client.Status(m.t.Context())
	if err != nil || len(s.Balancers) == 0 {
		return control.Status{}
	}
	return s.Balancers[0]
}

// row is one server in status.
func (m *medic) row(server string) control.ServerStatus {
	for _, r := range m.status().Servers {
		if r.Server == server {
			return r
		}
	}
	return control.ServerStatus{}
}

// events is the journal, as `lbmedic events` prints it.
func (m *medic) events() string { return m.cli("events", "-n", "10000").stdout }

// cli runs a command of lbmedic with the configuration of m and waits for its end.
func (m *medic) cli(args ...string) said {
	m.t.Helper()
	return runCLI(m.t, append(args, "--config", m.config)...)
}

// said is what a command printed and its exit status.
type said struct {
	code           int
	stdout, stderr string
}

func runCLI(t *testing.T, args ...string) said {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), lbmedic.program(t), args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errs, environment()
	var status *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// must fails the test where a command did not do what it was asked.
func (s said) must(t *testing.T) said {
	t.Helper()
	if s.code != 0 {
		t.Fatalf("exit status %d: %s%s", s.code, s.stdout, s.stderr)
	}
	return s
}

// oneLine reports whether text is a single line.
func oneLine(text string) bool {
	return strings.TrimSpace(text) != "" && strings.Count(strings.TrimSuffix(text, "\n"), "\n") == 0
}

// logged is what processes wrote, safe to read while they write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines are the log's JSON lines with that message.
func (l *logged) lines(message string) (found []map[string]any) {
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
			found = append(found, fields)
		}
	}
	return found
}

// until waits for a condition and fails the test where it does not come.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	untilWithin(t, 10*time.Second, what, ok)
}

func untilWithin(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(d)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// stays fails the test where a condition ends within that time.
func stays(t *testing.T, what string, d time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if !ok() {
			t.Fatalf("no longer: %s", what)
		}
	}
}
