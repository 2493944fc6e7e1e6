package child

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Confinement is how much less a program may do than the one that runs it. It gains no privileges by what it runs in turn: no setuid bit,
// no file capability counts.
type Confinement struct {
	User   *User          // as whom it runs; nil: as the caller does. Another one takes root
	Limits map[int]uint64 // by number, such as unix.RLIMIT_NOFILE, both the soft and the hard one
}

// User is whom a program runs as, with no other groups than this one.
type User struct{ UID, GID uint32 }

// start starts cmd, confined; nil is not confined.
func (c *Confinement) start(cmd *exec.Cmd) error {
	if c == nil {
		return cmd.Start()
	}
	if c.User != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.User.UID, Gid: c.User.GID}
	}
	return onThrowawayThread(func() error { return c.startHere(cmd) })
}

// onThrowawayThread calls f from a thread that ends after it, whatever f made of it. That is never the main thread, which the kernel asks who
// may signal the whole process, and which Go cannot end.
func onThrowawayThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThrowawayThread(f) // from another one, for this one is locked
			runtime.UnlockOSThread()
			return
		}
		done <- f() // and the thread ends with this goroutine, for it is still locked
	}()
	return <-done
}

// startHere starts cmd from this thread, which is changed for good.
func (c *Confinement) startHere(cmd *exec.Cmd) error {
	// The kernel keeps this bit by thread, and a child has that of the thread that made it.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err := c.match()
	if err == nil {
		err = c.limit(cmd.Process.Pid)
	}
	if err != nil {
		// Not waited for with an error of its own: that it was killed is known.
		err = errors.Join(err, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
		_ = cmd.Wait()
	}
	return err
}

// match gives this thread the real ids of the user: without CAP_SYS_RESOURCE, which a service rarely has, limits are set only by who has the
// same ones as the process (prlimit(2)). The effective ids stay. The calls are raw, for those of package syscall change every thread.
func (c *Confinement) match() error {
	if c.User == nil {
		return nil
	}
	const keep = ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(c.User.GID), keep, keep); errno != 0 {
		return fmt.Errorf("take group %d: %w", c.User.GID, errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(c.User.UID), keep, keep); errno != 0 {
		return fmt.Errorf("take user %d: %w", c.User.UID, errno)
	}
	return nil
}

// limit sets the limits of the process, which has run for a moment without them: they bound what goes wrong, and are no wall.
func (c *Confinement) limit(pid int) error {
	for resource, n := range c.Limits {
		err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: n, Max: n}, nil)
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended already
			return fmt.Errorf("limit resource %d of process %d to %d: %w", resource, pid, n, err)
		}
	}
	return nil
}
