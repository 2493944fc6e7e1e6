package haproxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Running lists the HAProxy processes of this host. proc is "/proc". A process that ends while it is read is left out. One is
// taken for HAProxy by its name in /proc/PID/stat, which a chroot does not change, and by the name of its program. Of other
// users' processes the links may be unreadable: Exe, Root and Dir are then empty.
func Running(proc string) ([]Process, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("look for running haproxy processes: %w", err)
	}
	var out []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid <= 0 {
			continue
		}
		p, ok, err := readProcess(filepath.Join(proc, e.Name()), pid)
		if err != nil {
			return nil, fmt.Errorf("look for running haproxy processes: %w", err)
		}
		if ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// Read reads one process again; ok is false where it has ended, is no HAProxy, or is another one with that id.
func (p Process) Read(proc string) (now Process, ok bool, err error) {
	now, ok, err = readProcess(filepath.Join(proc, strconv.Itoa(p.PID)), p.PID)
	return now, ok && now.Start == p.Start, err
}

func readProcess(dir string, pid int) (Process, bool, error) {
	data, err := readProc(filepath.Join(dir, "stat"))
	if err != nil {
		return Process{}, false, unlessGone(err)
	}
	name, state, parent, start, ok := parseStat(data)
	if !ok || name != "haproxy" || state == 'Z' || state == 'X' {
		return Process{}, false, nil
	}
	p := Process{PID: pid, Parent: parent, Start: start}
	if p.Exe, err = link(dir, "exe"); err != nil {
		return Process{}, false, unlessGone(err)
	}
	p.Exe, p.Deleted = strings.CutSuffix(p.Exe, " (deleted)")
	if p.Exe != "" && !strings.HasPrefix(filepath.Base(p.Exe), "haproxy") {
		return Process{}, false, nil // a thread or script that borrowed the name
	}
	if p.Root, err = link(dir, "root"); err != nil {
		return Process{}, false, unlessGone(err)
	}
	if p.Dir, err = link(dir, "cwd"); err != nil {
		return Process{}, false, unlessGone(err)
	}
	if data, err = readProc(filepath.Join(dir, "cmdline")); err != nil {
		return Process{}, false, unlessGone(err)
	}
	p.Args = entries(data)
	p.Command = ParseCommandLine(p.Args)
	return p, len(p.Args) > 0, nil // a process that is ending has no arguments any more
}

// Environ is the environment with which the process was last executed.
func (p Process) Environ(proc string) ([]string, error) {
	data, err := readProc(filepath.Join(proc, strconv.Itoa(p.PID), "environ"))
	if err != nil {
		return nil, fmt.Errorf("read the environment of haproxy %d: %w", p.PID, err)
	}
	if _, ok, err := p.Read(proc); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("read the environment of haproxy %d: it has ended", p.PID), err)
	}
	return entries(data), nil
}

// parseStat reads the name, state, parent and start time of /proc/PID/stat. The name stands in parentheses and may
// hold blanks and parentheses itself. Times count ticks of 10 ms on every architecture that Go has for Linux.
func parseStat(data []byte) (name string, state byte, parent int, start time.Duration, ok bool) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return "", 0, 0, 0, false
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 20 {
		return "", 0, 0, 0, false
	}
	parent, errParent := strconv.Atoi(fields[1])
	ticks, errStart := strconv.ParseInt(fields[19], 10, 64)
	if errParent != nil || errStart != nil || ticks < 0 || ticks > int64(1<<63-1)/int64(10*time.Millisecond) {
		return "", 0, 0, 0, false
	}
	return string(data[open+1 : end]), fields[0][0], parent, time.Duration(ticks) * 10 * time.Millisecond, true
}

// entries splits the NUL-terminated strings of cmdline and environ.
func entries(data []byte) []string {
	var out []string
	for part := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte{0}), []byte{0}) {
		out = append(out, string(part))
	}
	if len(data) == 0 {
		return nil
	}
	return out
}

// maxProc bounds what is read of one file of /proc; an argument list may be as long as 2 MiB.
const maxProc = 4 << 20

func readProc(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxProc))
}

// link reads a link of a process; one that we may not read is empty.
func link(dir, name string) (string, error) {
	target, err := os.Readlink(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	return target, err
}

// unlessGone drops the errors that mean that the process has ended.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
