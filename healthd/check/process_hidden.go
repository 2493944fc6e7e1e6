package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// hidden says that the processes of other users are not shown to us: proc is mounted with hidepid, proc(5). Then process 1 is not shown either,
// unless it is our own; in that case the mount is asked.
func (q processQuery) hidden() error {
	first := filepath.Join(q.proc, "1", "stat")
	why := fmt.Errorf("whether %s is running cannot be seen: %s hides the processes of other users (hidepid); mount it with the gid of a group of "+
		"lbmedic's, or run lbmedic as root", q.name, q.proc)
	if _, err := readPart(first, 1); err != nil {
		return why
	}
	info, err := os.Stat(first)
	if err != nil {
		return why
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if us := os.Geteuid(); us == 0 || ok && int(st.Uid) != us {
		return nil
	}
	mounts, err := readSmall("/proc/self/mountinfo")
	if err == nil && hidesProcesses(string(mounts), q.proc) {
		return why
	}
	return nil
}

// hidesProcesses reads /proc/self/mountinfo: proc_pid_mountinfo(5).
//
//	23 28 0:21 / /proc rw,nosuid - proc proc rw,hidepid=invisible
func hidesProcesses(mounts, proc string) (hides bool) {
	for line := range strings.Lines(mounts) {
		mount, fs, _ := strings.Cut(line, " - ")
		fields, of := strings.Fields(mount), strings.Fields(fs)
		if len(fields) < 5 || len(of) < 3 || of[0] != "proc" || fields[4] != filepath.Clean(proc) {
			continue
		}
		hides = false // of two mounts in one place the last counts
		for option := range strings.SplitSeq(of[2], ",") {
			how, ok := strings.CutPrefix(option, "hidepid=")
			hides = hides || ok && how != "0" && how != "off"
		}
	}
	return hides
}
