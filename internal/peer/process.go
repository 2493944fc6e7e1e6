package peer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Process is a peer that this program started.
type Process struct {
	cmd    *exec.Cmd
	log    logBuffer
	ended  chan struct{}
	result error
}

// Server is a program that listens somewhere once it has started.
type Server struct {
	Path  string
	Args  []string
	Env   []string      // beside the environment of this process
	Ready func() error  // nil once the server is; see Accepts
	Limit time.Duration // how long it may take; default 10 s
}

// Start runs the server and returns once it is ready.
func (s Server) Start() (*Process, error) {
	p, err := start(s.Path, s.Env, s.Args...)
	if err != nil {
		return nil, err
	}
	return p, p.waitFor("start "+filepath.Base(s.Path), cmp.Or(s.Limit, 10*time.Second), s.Ready)
}

// Accepts says that a server is ready once each of the TCP addresses accepts a connection.
func Accepts(addresses ...string) func() error {
	return func() error {
		for _, address := range addresses {
			c, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			if err := c.Close(); err != nil {
				return err
			}
		}
		return nil
	}
}

// start runs the program in a process group of its own, so that workers go with their master.
func start(path string, env []string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() {
		p.result = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process id of the master.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the master alone.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Log is what the process has written to stdout and stderr so far.
func (p *Process) Log() string { return p.log.String() }

// Ended is closed once the master has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stop ends the master and everything it started. It may be called more than once.
func (p *Process) Stop() {
	// The group outlives its leader while a worker lives, so its id cannot have been given to another.
	if err := syscall.Kill(-p.PID(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.log.Write(fmt.Appendf(nil, "stop group %d: %v\n", p.PID(), err))
	}
	<-p.ended
}

// waitFor polls ready until it is nil, the process ends, or the limit has passed.
func (p *Process) waitFor(what string, limit time.Duration, ready func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s: the program ended (%v):\n%s", what, p.result, p.Log())
		case <-deadline:
			p.Stop()
			return fmt.Errorf("%s: not ready after %s: %w\n%s", what, limit, err, p.Log())
		case <-tick.C:
		}
	}
}

// Port returns a TCP port that was free on 127.0.0.1 a moment ago. It lies below the range that the kernel gives to
// outgoing connections, so that none of those can take it in between.
func Port() (int, error) {
	for range 200 {
		port := 10240 + rand.IntN(20000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("find a free port on 127.0.0.1: none of 200 was free")
}

// Dir makes a short-named folder below /tmp, which every version of a peer sees, and which a worker that has dropped
// its privileges may enter. A unix socket's path may be at most 107 bytes long; t.TempDir is often longer.
func Dir() (string, error) {
	dir, err := os.MkdirTemp("/tmp", "lbm")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() > 1<<20 {
		return len(p), nil
	}
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
