package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unit is a service of systemd, without systemd: Type=notify, and FileDescriptorStoreMax= where it keeps sockets. What the service stores
// is passed to the next process of it.
type unit struct {
	t       *testing.T
	program string
	config  string
	notify  *net.UnixConn
	log     *logged
	keeps   bool

	cmd   *exec.Cmd
	ended chan struct{}

	mu     sync.Mutex
	states []string            // the messages of the process that runs
	stored map[string]*os.File // by name
}

// newUnit makes a service that runs program on the configuration at path.
func newUnit(t *testing.T, program, config string, keeps bool) *unit {
	t.Helper()
	path := strings.TrimSuffix(config, ".yaml") + ".notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	u := &unit{t: t, program: program, config: config, notify: conn, log: &logged{}, keeps: keeps, stored: map[string]*os.File{}}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for u.hear() {
		}
	}()
	t.Cleanup(func() {
		if u.cmd != nil {
			_ = u.cmd.Process.Kill() // it may have ended
			<-u.ended
		}
		_ = conn.Close()
		<-heard
		for _, f := range u.stored {
			_ = f.Close()
		}
		if text := u.log.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") || t.Failed() {
			t.Errorf("the log of the unit:\n%s", text)
		}
	})
	return u
}

// hear takes one message; false is the end.
func (u *unit) hear() bool {
	buf, oob := make([]byte, 8192), make([]byte, 512)
	n, o, _, _, err := u.notify.ReadMsgUnix(buf, oob)
	if err != nil {
		return false
	}
	text := string(buf[:n])
	u.mu.Lock()
	defer u.mu.Unlock()
	u.states = append(u.states, text)
	_, name, _ := strings.Cut(text, "FDNAME=")
	name, _, _ = strings.Cut(name, "\n")
	if strings.Contains(text, "FDSTOREREMOVE=1") && u.stored[name] != nil {
		_ = u.stored[name].Close()
		delete(u.stored, name)
		return true
	}
	messages, err := unix.ParseSocketControlMessage(oob[:o])
	if err != nil {
		return true
	}
	for _, m := range messages {
		fds, _ := unix.ParseUnixRights(&m)
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), name)
			unix.CloseOnExec(fd)
			if !u.keeps || u.stored[name] != nil {
				_ = f.Close()
				continue
			}
			u.stored[name] = f
		}
	}
	return true
}

// launch starts the process with what is stored.
func (u *unit) launch() {
	u.t.Helper()
	u.mu.Lock()
	u.states = nil
	var names []string
	var files []*os.File
	for name, f := range u.stored {
		names, files = append(names, name), append(files, f)
	}
	u.mu.Unlock()
	// The number of the process is known only to itself: systemd sets it between fork and exec, a shell can do the same.
	cmd := exec.Command("/bin/sh", "-c", `export LISTEN_PID=$$; exec "$@"`, "sh", u.program, "run", "--config", u.config)
	cmd.ExtraFiles = files
	cmd.Env = append(environment(), "NOTIFY_SOCKET="+u.notify.LocalAddr().String(),
		fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.Stdout, cmd.Stderr = u.log, u.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	ended := make(chan struct{})
	u.cmd, u.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // its status is read from ProcessState
		close(ended)
	}()
}

// start returns once the process is ready.
func (u *unit) start() *unit {
	u.t.Helper()
	u.launch()
	until(u.t, "the unit is ready", func() bool {
		select {
		case <-u.ended:
			u.t.Fatalf("the unit ended: %s", u.log)
		default:
		}
		return u.said("READY=1")
	})
	return u
}

// said reports whether the process has sent such a message.
func (u *unit) said(text string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.ContainsFunc(u.states, func(s string) bool { return strings.Contains(s, text) })
}

// end sends a signal, waits for the end, and returns the exit status: -1 where the signal itself ended it.
func (u *unit) end(s syscall.Signal) int {
	u.t.Helper()
	if err := u.cmd.Process.Signal(s); err != nil {
		u.t.Fatal(err)
	}
	select {
	case <-u.ended:
	case <-time.After(30 * time.Second):
		u.t.Fatalf("the unit does not end on %s", s)
	}
	return u.cmd.ProcessState.ExitCode()
}

// unitOf runs the medic's configuration as a unit, with a copy of the program that an upgrade may replace.
func unitOf(t *testing.T, m *medic, keeps bool) *unit {
	t.Helper()
	u := newUnit(t, filepath.Join(m.dir, m.name+".program"), m.config, keeps)
	u.upgrade()
	return u
}

// upgrade puts a new file in the place of the program, as a package does: the old one goes on in the process that runs it.
func (u *unit) upgrade() {
	u.t.Helper()
	data, err := os.ReadFile(lbmedic.program(u.t))
	if err == nil {
		err = os.WriteFile(u.program+".new", data, 0o755)
	}
	if err == nil {
		err = os.Rename(u.program+".new", u.program)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}
