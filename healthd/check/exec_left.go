package check

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// execMark is the variable by whose value in their environment the processes of one run are known, wherever they went.
const execMark = "LBMEDIC_EXEC"

// killLeft kills what a run left behind in a session of its own, where killing the process group does not reach it; root is the number of the
// process that was started, 0 for one that is not known. It is best effort: a process that has cleared its environment is not known, and one
// of another user's is seen by root alone. What is killed may have forked at that moment, so it looks again.
func killLeft(mark string, root int) (killed int) {
	const looks = 3
	for range looks {
		n := 0
		for _, pid := range startedSince(root) {
			if killMarked(pid, mark) {
				n++
			}
		}
		killed += n
		if n == 0 {
			break
		}
	}
	return killed
}

// startedSince gives the numbers of the processes that may have been started after pid, all of them where that cannot be told. The kernel gives
// numbers in a circle, and the last given stands in /proc/loadavg: after a program that started nothing there is nothing to look at.
func startedSince(pid int) (pids []int) {
	last := pid
	raw, err := readSmall("/proc/loadavg")
	if fields := strings.Fields(string(raw)); err == nil && len(fields) == 5 {
		if last, err = strconv.Atoi(fields[4]); err == nil && last == pid {
			return nil
		}
	}
	if err != nil {
		pid, last = 0, 0
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := proc.Readdirnames(-1) // of what was read before an error
	_ = proc.Close()                  // it was only read
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err == nil && n != os.Getpid() && within(n, pid, last) {
			pids = append(pids, n)
		}
	}
	return pids
}

// within reports whether a number was given after that of pid up to last, which is below pid where the circle was closed meanwhile.
func within(n, pid, last int) bool {
	if last > pid {
		return n > pid && n <= last
	}
	return n > pid || n <= last
}

// killMarked kills the process if it has the mark.
func killMarked(pid int, mark string) bool {
	// Held before it is looked at, so that its number is not another's by the time of the signal.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // it held nothing that could be lost
	environ, err := readPart(filepath.Join("/proc", strconv.Itoa(pid), "environ"), 64<<10)
	return err == nil && bytes.Contains(environ, []byte(execMark+"="+mark)) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}
