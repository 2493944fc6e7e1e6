package nginx

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNoMaster is wrapped where the pid file does not lead to the running master of this instance.
var ErrNoMaster = errors.New("no running nginx master of this configuration")

// master is the master process, held by a pidfd: a signal reaches this process or none.
type master struct {
	fd    int
	pid   int
	start Ticks
}

// openMaster follows the pid file. The process must bear the title of an nginx master that was started with this
// configuration, and its program must be exe, or one that is called nginx where exe is empty.
func openMaster(pidFile, exe string, sameConf func(Arguments) bool) (*master, error) {
	raw, _, err := Disk{}.Read(pidFile)
	if err != nil {
		return nil, fmt.Errorf("read the pid file %s: %w: %w", pidFile, ErrNoMaster, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw[:min(len(raw), 32)])))
	if err != nil || pid <= 1 {
		return nil, fmt.Errorf("read the pid file %s: %w: it holds no process id", pidFile, ErrNoMaster)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("find process %d, which %s names: %w: %w", pid, pidFile, ErrNoMaster, err)
	}
	m := &master{fd: fd, pid: pid}
	if err := m.check(exe, sameConf); err != nil {
		m.close()
		return nil, fmt.Errorf("check process %d, which %s names: %w: %w", pid, pidFile, ErrNoMaster, err)
	}
	return m, nil
}

func (m *master) check(exe string, sameConf func(Arguments) bool) error {
	p, err := readProcess(m.pid)
	if err != nil {
		return err
	}
	m.start = p.start
	r, ok := running(p)
	if !ok {
		return errors.New("it is no nginx master; the pid file is stale")
	}
	program := strings.TrimSuffix(r.Exe, " (deleted)") // replaced by an upgrade, and still the one that runs
	if exe != "" && program != strings.TrimSuffix(exe, " (deleted)") || exe == "" && !strings.Contains(filepath.Base(program), "nginx") {
		return fmt.Errorf("its program is %s; the pid file is stale", r.Exe)
	}
	if !sameConf(r.Arguments) {
		return fmt.Errorf("it runs with -c %q, another configuration", r.Arguments.Conf)
	}
	// All that was read belongs to the process of the pidfd only if that one has not ended meanwhile.
	return m.signal(0)
}

func (m *master) signal(s syscall.Signal) error {
	if err := unix.PidfdSendSignal(m.fd, s, nil, 0); err != nil {
		return fmt.Errorf("signal nginx %d: %w", m.pid, err)
	}
	return nil
}

func (m *master) close() { _ = unix.Close(m.fd) } // nothing was written through it
