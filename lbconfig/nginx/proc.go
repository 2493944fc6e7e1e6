package nginx

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is the unit of start times in /proc, the same on every Linux (USER_HZ).
const ticksPerSecond = 100

// Ticks is a time since boot in hundredths of a second: how /proc tells when a process started.
type Ticks uint64

// now is the time since boot, on the clock of start times.
func now() (Ticks, error) {
	up, err := uptime()
	return Ticks(up * ticksPerSecond / time.Second), err
}

func uptime() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read the time since boot: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// since is the time from t back to an earlier start.
func (t Ticks) since(start Ticks) time.Duration {
	return time.Duration(int64(t)-int64(start)) * (time.Second / ticksPerSecond)
}

// process is one line of /proc/PID/stat, as far as it is needed.
type process struct {
	pid, parent int
	state       byte
	start       Ticks
}

// parseStat reads /proc/PID/stat. The name in parentheses may hold anything, a parenthesis too.
func parseStat(raw []byte) (process, bool) {
	text := string(raw)
	head, _, ok := strings.Cut(text, " (")
	close := strings.LastIndexByte(text, ')')
	if !ok || close < 0 {
		return process{}, false
	}
	fields := strings.Fields(text[close+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return process{}, false
	}
	pid, err1 := strconv.Atoi(head)
	parent, err2 := strconv.Atoi(fields[1])
	start, err3 := strconv.ParseUint(fields[19], 10, 63)
	return process{pid, parent, fields[0][0], Ticks(start)}, err1 == nil && err2 == nil && err3 == nil
}

// parseWorker tells whether a cmdline is that of a worker, and whether the worker only finishes what it has.
func parseWorker(cmdline []byte) (shuttingDown, ok bool) {
	title, _, _ := strings.Cut(string(cmdline), "\x00")
	rest, ok := strings.CutPrefix(strings.TrimRight(title, " "), "nginx: worker process")
	return rest == " is shutting down", ok && (rest == "" || rest == " is shutting down")
}

// Worker is one worker process.
type Worker struct {
	PID          int
	Start        Ticks
	ShuttingDown bool // told to finish what it has: it takes no new connection
}

// Workers lists the workers of a master, oldest first, those that are shutting down included.
func Workers(master int) ([]Worker, error) {
	all, err := processes()
	if err != nil {
		return nil, fmt.Errorf("list the workers of nginx %d: %w", master, err)
	}
	var out []Worker
	for _, p := range all {
		if p.parent != master || p.state == 'Z' || p.state == 'X' {
			continue
		}
		cmdline, err := readProc(p.pid, "cmdline")
		if err != nil {
			continue // it has ended since
		}
		if shuttingDown, ok := parseWorker(cmdline); ok {
			out = append(out, Worker{p.pid, p.start, shuttingDown})
		}
	}
	slices.SortFunc(out, func(a, b Worker) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.PID, b.PID)) })
	return out, nil
}

// processes reads /proc/PID/stat of every process.
func processes() ([]process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var out []process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := readProcess(pid); err == nil { // else it has ended since
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b process) int { return a.pid - b.pid })
	return out, nil
}

func readProcess(pid int) (process, error) {
	raw, err := readProc(pid, "stat")
	if err != nil {
		return process{}, err
	}
	p, ok := parseStat(raw)
	if !ok {
		return process{}, fmt.Errorf("read /proc/%d/stat: not in the form that proc(5) gives", pid)
	}
	return p, nil
}

// readProc reads one small file of a process.
func readProc(pid int, name string) ([]byte, error) {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}
