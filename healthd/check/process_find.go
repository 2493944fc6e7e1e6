package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"

	"github.com/lbmedic/lbmedic/healthd"
)

// processOptions are the keys of a processQuery.
var processOptions = []Option{
	{Key: "pid_file", Doc: "only the process whose number this file holds, provided that it is of the program: a stale file is told", Type: Path},
	{Key: "args", Doc: "only processes with this text in their command line, of which 64 KiB are read", Type: Text},
	{Key: "user", Doc: "only processes that this user, a name or a number, runs", Type: Text},
	procOption,
}

// processQuery says which processes are meant.
type processQuery struct {
	name, pidFile, args, user, proc string

	files *patient[fileText] // reads pidFile, which may be on a file system that hangs
}

// fileText is what a file holds.
type fileText struct {
	raw []byte
	err error
}

func processQueryOf(s Settings, name string) (processQuery, error) {
	if strings.ContainsRune(name, '/') {
		return processQuery{}, fmt.Errorf("%q is a path; give the program's name, %s", healthd.Line(name, 80), filepath.Base(name))
	}
	return processQuery{name, s.Text("pid_file"), s.Text("args"), s.Text("user"), s.Text("proc"), &patient[fileText]{}}, nil
}

// processID names a process for ever: the kernel uses a number again, but not with the same time of start, in ticks since boot.
type processID struct {
	pid   int
	start uint64
}

// process is a process as it was seen.
type process struct {
	processID
	state string // R, S, D, Z, T, t, X, I: proc(5)
}

func (p process) zombie() bool  { return p.state == "Z" || p.state == "X" }
func (p process) stopped() bool { return p.state == "T" }
func (p process) waits() bool   { return p.state == "D" }
func (p process) runs() bool    { return !p.zombie() && !p.stopped() }

// processLost says in what way a pid file names no process of the program.
type processLost string

func (p processLost) Error() string { return string(p) }

// find gives the processes that are meant. One that ends while it is looked at is left out. Blind is why there may be others that are not seen.
func (q processQuery) find(ctx context.Context) (found []process, blind, err error) {
	host, err := procfs.NewFS(q.proc)
	if err != nil {
		return nil, nil, err
	}
	uid, err := q.uid()
	if err != nil {
		return nil, nil, err
	}
	hidden := q.hidden()
	if uid != strconv.Itoa(os.Geteuid()) { // our own are never hidden
		blind = hidden
	}
	if q.pidFile != "" {
		found, err = q.findByFile(ctx, host, uid)
		if blind != nil && errors.Is(err, fs.ErrPermission) {
			err = blind
		}
		return found, blind, err
	}
	all, err := host.AllProcs()
	if err != nil {
		return nil, nil, fmt.Errorf("list the processes: %w", err)
	}
	for _, p := range all {
		if err := ctx.Err(); err != nil {
			return nil, nil, fmt.Errorf("list the processes: %w", err)
		}
		match, err := q.match(p, uid)
		switch {
		case err == nil:
			found = append(found, match...)
		case gone(err), hidden != nil && errors.Is(err, fs.ErrPermission):
		default:
			return nil, nil, err
		}
	}
	slices.SortFunc(found, func(a, b process) int { return a.pid - b.pid })
	return found, blind, nil
}

func (q processQuery) findByFile(ctx context.Context, host procfs.FS, uid string) ([]process, error) {
	text, err := q.files.call(ctx, func() (f fileText) { f.raw, f.err = readSmall(q.pidFile); return f })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", q.pidFile, err)
	}
	if errors.Is(text.err, fs.ErrNotExist) {
		return nil, processLost("no " + q.name + " is running: there is no " + q.pidFile)
	}
	if text.err != nil {
		return nil, text.err
	}
	pid, err := parsePID(string(text.raw))
	if err != nil {
		return nil, processLost(q.pidFile + ": " + err.Error())
	}
	p, err := host.Proc(pid)
	if gone(err) {
		return nil, processLost(fmt.Sprintf("no %s is running: %s names %d, which has ended", q.name, q.pidFile, pid))
	}
	if err != nil {
		return nil, err
	}
	found, err := q.match(p, uid)
	if err == nil && len(found) == 0 || gone(err) {
		return nil, processLost(fmt.Sprintf("no %s is running: %s names %d, which is another process by now", q.name, q.pidFile, pid))
	}
	return found, err
}

// parsePID reads what a pid file holds: a number on its first line.
func parsePID(text string) (int, error) {
	line, _, _ := strings.Cut(text, "\n")
	pid, err := strconv.ParseInt(strings.TrimSpace(line), 10, 32)
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%q is no number of a process", healthd.Line(line, 20))
	}
	return int(pid), nil
}

// gone reports whether the error is that of a process that has ended.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// match gives p where it is meant.
func (q processQuery) match(p procfs.Proc, uid string) ([]process, error) {
	name, err := p.Comm()
	if err != nil || !sameName(name, q.name) {
		return nil, err
	}
	before, err := p.Stat()
	if err != nil {
		return nil, err
	}
	if uid != "" {
		status, err := p.NewStatus()
		if err != nil || strconv.FormatUint(status.UIDs[1], 10) != uid {
			return nil, err
		}
	}
	if q.args != "" || len(q.name) > maxComm {
		// A zombie has none, and is counted by its name alone.
		line, err := readPart(filepath.Join(q.proc, strconv.Itoa(p.PID), "cmdline"), 64<<10)
		if err != nil || before.State != "Z" && !q.matchLine(line) {
			return nil, err
		}
	}
	after, err := p.Stat()
	if err != nil || after.Starttime != before.Starttime || !sameName(after.Comm, q.name) {
		return nil, err // the number was used again meanwhile
	}
	return []process{{processID{p.PID, after.Starttime}, after.State}}, nil
}

// maxComm is how much of a program's name the kernel keeps for ps.
const maxComm = 15

func sameName(comm, name string) bool { return comm == name[:min(len(name), maxComm)] }

func (q processQuery) matchLine(line []byte) bool {
	program, _, _ := bytes.Cut(line, []byte{0})
	if len(q.name) > maxComm && filepath.Base(string(program)) != q.name {
		return false
	}
	return strings.Contains(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})), q.args)
}

// uid is the number of the user; empty for any.
func (q processQuery) uid() (string, error) {
	if _, err := strconv.ParseUint(q.user, 10, 32); err == nil || q.user == "" {
		return q.user, nil
	}
	u, err := user.Lookup(q.user)
	if err != nil {
		return "", fmt.Errorf("look up user %s: %w", healthd.Line(q.user, 40), err)
	}
	return u.Uid, nil
}
