package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// A LockedError says that another process has the state directory.
type LockedError struct {
	Dir string
	PID string // "1234", or "unknown" in the moment between its lock and its name
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("state directory %s is in use by process %s: stop that one first, or give this one another state directory", e.Dir, e.PID)
}

// lock takes the directory for this process. The kernel gives it back when the file is closed or the process is gone,
// however it went; what the file says is only for people.
func (s store) lock() (*os.File, error) {
	f, err := s.open("lock", os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = &LockedError{Dir: s.dir, PID: holder(f)}
		} else {
			err = fmt.Errorf("lock %s: %w", s.path("lock"), err)
		}
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// A full disk leaves the file empty, and the lock holds all the same.
	_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return f, nil
}

func holder(f *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	pid := strings.TrimSpace(string(text))
	if err != nil || pid == "" || strings.Trim(pid, "0123456789") != "" {
		return "unknown"
	}
	return pid
}
