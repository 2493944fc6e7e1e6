// Package child runs a program with a deadline, in a process group of its own, with bounded output and no shell.
package child

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// DefaultOutput is how many bytes of stdout and stderr together are kept when Command.Output is 0.
const DefaultOutput = 64 << 10

// DefaultGrace is how long a program has between TERM and KILL when Command.Grace is 0.
const DefaultGrace = 500 * time.Millisecond

// Command is a program to run. Nothing of the caller's environment is passed on but what Env names.
type Command struct {
	Path   string        // absolute path of the program
	Args   []string      // its arguments, without the program's name
	Env    []string      // "NAME=value" entries; nil means PATH only
	Dir    string        // working directory; empty means "/"
	Output int           // bytes of output kept; 0 means DefaultOutput
	Grace  time.Duration // time from TERM to KILL once ctx is done; 0 means DefaultGrace

	Confine *Confinement // nil: it may do what the caller may
}

// Result is what a program that ran to its end left behind.
type Result struct {
	PID       int    // the number it had, and its process group; 0 where it was not started
	Code      int    // exit status; -1 when a signal ended it
	Signal    string // name of that signal, else empty
	Output    []byte // stdout and stderr in the order they were written
	Truncated bool   // Output was longer than the limit
}

// ErrDeadline is wrapped by Run's error when ctx ended before the program did.
var ErrDeadline = errors.New("did not end in time")

// Run starts the program, waits for it and for its whole process group, and reports how it ended. A program that
// ends with a non-zero status is a Result, not an error; an error means that it could not be started or did not end
// before ctx was done, in which case its group has been killed.
func (c Command) Run(ctx context.Context) (Result, error) {
	if !filepath.IsAbs(c.Path) {
		return Result{}, fmt.Errorf("run %q: the program's path must be absolute", c.Path)
	}
	out := &bounded{limit: c.Output}
	if out.limit <= 0 {
		out.limit = DefaultOutput
	}
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env = c.Env
	if cmd.Env == nil {
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	grace := c.Grace
	if grace <= 0 {
		grace = DefaultGrace
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace

	if err := c.Confine.start(cmd); err != nil {
		return Result{}, fmt.Errorf("run %s: %w", c.Path, err)
	}
	group := cmd.Process.Pid
	err := cmd.Wait()
	// Whatever the program started and left behind goes with it. ESRCH means that nothing was left.
	if kill := syscall.Kill(-group, syscall.SIGKILL); kill != nil && !errors.Is(kill, syscall.ESRCH) {
		err = errors.Join(err, fmt.Errorf("kill process group %d: %w", group, kill))
	}
	res := Result{PID: group, Code: cmd.ProcessState.ExitCode(), Output: out.buf, Truncated: out.cut}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		res.Signal = ws.Signal().String()
	}
	if ctx.Err() != nil {
		return res, fmt.Errorf("run %s: %w: %w", c.Path, ErrDeadline, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return res, fmt.Errorf("run %s: %w", c.Path, err)
	}
	return res, nil
}

// bounded keeps the first limit bytes and takes the rest without keeping it.
type bounded struct {
	buf   []byte
	limit int
	cut   bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.limit-len(b.buf))
	b.buf = append(b.buf, p[:keep]...)
	b.cut = b.cut || keep < len(p)
	return len(p), nil
}
