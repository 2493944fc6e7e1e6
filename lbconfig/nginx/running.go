package nginx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Running is an nginx master that runs on this machine.
type Running struct {
	PID       int
	Parent    int // the old master's PID while a binary upgrade is under way
	Start     Ticks
	Exe       string // " (deleted)" at its end means that the program was replaced since
	Root      string // "/proc/PID/root": the root of its files, for Disk
	Chroot    string // what Root is here; "/" for most
	Cwd       string
	Arguments Arguments
}

// Instances finds the nginx masters of this machine. Processes that end while they are read are left out, and so is a
// worker that has only just been forked and still bears its master's title.
func Instances() ([]Running, error) {
	all, err := processes()
	if err != nil {
		return nil, fmt.Errorf("look for nginx: %w", err)
	}
	children := map[int]int{}
	for _, p := range all {
		children[p.parent]++
	}
	var out []Running
	for _, p := range all {
		if r, ok := running(p); ok {
			out = append(out, r)
		}
	}
	return dropForks(out, children), nil
}

// dropForks leaves out what was forked by a master and has no child: a worker that has no title of its own yet. The
// new master of a binary upgrade is its old one's child too, and has workers.
func dropForks(found []Running, children map[int]int) []Running {
	masters := map[int]bool{}
	for _, r := range found {
		masters[r.PID] = true
	}
	return slices.DeleteFunc(found, func(r Running) bool { return masters[r.Parent] && children[r.PID] == 0 })
}

func running(p process) (Running, bool) {
	cmdline, err := readProc(p.pid, "cmdline")
	if err != nil {
		return Running{}, false
	}
	args, ok := ParseMaster(cmdline)
	if !ok || p.state == 'Z' {
		return Running{}, false
	}
	dir := filepath.Join("/proc", strconv.Itoa(p.pid))
	r := Running{PID: p.pid, Parent: p.parent, Start: p.start, Root: filepath.Join(dir, "root"), Arguments: args}
	for name, into := range map[string]*string{"exe": &r.Exe, "root": &r.Chroot, "cwd": &r.Cwd} {
		if *into, err = os.Readlink(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrPermission) {
			return Running{}, false // it has ended since; without permission the link stays empty
		}
	}
	return r, true
}
