package demo

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a long-running program that the demo started, in a process group of its own: ^C in the terminal reaches
// the demo alone, which then stops everything in order.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   tail
	ended chan struct{}
	err   error // why it ended; read it once ended is closed

	stopping atomic.Bool // stop was called
}

// startProcess starts a program without anything of our environment but PATH: what configures us must not configure it.
func startProcess(name, path string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Dir = "/"
	p.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// alive is nil while the program runs.
func (p *process) alive() error {
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("%s ended: %w", p.name, p.err)
		}
		return fmt.Errorf("%s ended", p.name)
	default:
		return nil
	}
}

// ask asks the program to end, if it has not, and does not wait for it.
func (p *process) ask() {
	if p.alive() != nil {
		return
	}
	p.stopping.Store(true)
	// ESRCH, or os.ErrProcessDone: it ended just now.
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	if err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, os.ErrProcessDone) {
		p.log.Write(fmt.Appendf(nil, "signal %s: %v\n", p.name, err))
	}
	p.cmd.Process.Signal(syscall.SIGCONT) // it may have been suspended, and then hears nothing else
}

// stop asks the program to end, and ends its whole group after the grace. The error says that it had to be killed, or
// that it ended with a status; a program that ended before anybody asked it to is stopped already.
func (p *process) stop(grace time.Duration) error {
	if p.alive() != nil && !p.stopping.Load() {
		return nil
	}
	p.ask()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("stop %s: %w", p.name, p.err)
		}
		return nil
	case <-timer.C:
	}
	err := fmt.Errorf("stop %s: it was still there after %s and was killed", p.name, grace)
	// The group outlives its leader while a member lives, and the leader is not reaped yet: the id is still ours.
	if kill := syscall.Kill(-p.pid(), syscall.SIGKILL); kill != nil && !errors.Is(kill, syscall.ESRCH) {
		err = errors.Join(err, kill)
	}
	<-p.ended
	return err
}

// maxTail is how many of the last bytes of a program's output are kept.
const maxTail = 16 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String is what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
