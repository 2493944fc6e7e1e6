package check

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// readCgroupMemory reads the files of a cgroup of version 2, as Documentation/admin-guide/cgroup-v2.rst of Linux has them.
func readCgroupMemory(dir, proc string) (m memoryState, err error) {
	if dir == "" {
		if dir, err = ownCgroup(proc); err != nil {
			return m, err
		}
	}
	m.what, m.pressure = "memory of "+filepath.Base(dir), filepath.Join(dir, "memory.pressure")
	var limited, swapLimited bool
	current, _, err := readCgroupNumber(filepath.Join(dir, "memory.current"))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s has no memory.current: it is no cgroup of version 2 with the memory controller", dir)
	}
	if err != nil {
		return m, err
	}
	if m.total, limited, err = readCgroupNumber(filepath.Join(dir, "memory.max")); err != nil {
		return m, err
	}
	m.unlimited = !limited || m.total == 0
	stat, err := readCounters(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return m, err
	}
	// Inactive file pages are dropped before anything is killed: the same working set that Kubernetes evicts by.
	m.used = max(0, current-float64(stat["inactive_file"]))
	events, err := readCounters(filepath.Join(dir, "memory.events"))
	if err != nil {
		return m, err
	}
	m.kills, m.killsKept = events["oom_kill"]
	// Without swap accounting these are missing, which is no error.
	if m.swapTotal, swapLimited, err = readCgroupNumber(filepath.Join(dir, "memory.swap.max")); err == nil && swapLimited {
		if m.swapUsed, _, err = readCgroupNumber(filepath.Join(dir, "memory.swap.current")); err != nil {
			return m, err
		}
	} else {
		m.swapTotal = 0
	}
	return m, nil
}

// ownCgroup is the folder of the cgroup of this process: the line "0::/path" of /proc/self/cgroup, below where cgroup2 is mounted.
func ownCgroup(proc string) (string, error) {
	raw, err := readSmall(filepath.Join(proc, "self/cgroup"))
	if err != nil {
		return "", err
	}
	mounts, err := readSmall(filepath.Join(proc, "self/mounts"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(raw)) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !ok {
			continue
		}
		for mount := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(mount); len(fields) > 2 && fields[2] == "cgroup2" {
				return filepath.Join(fields[1], path), nil
			}
		}
	}
	return "", errors.New("lbmedic is in no cgroup of version 2; name one by the key cgroup")
}

// readCgroupNumber reads a file of one number, or the word max: then limited is false.
func readCgroupNumber(path string) (n float64, limited bool, err error) {
	raw, err := readSmall(path)
	if err != nil {
		return 0, false, err
	}
	n, limited, err = parseCgroupNumber(string(raw))
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return n, limited, err
}

func parseCgroupNumber(text string) (n float64, limited bool, err error) {
	text = strings.TrimSuffix(text, "\n")
	if text == "max" {
		return 0, false, nil
	}
	whole, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%q is neither a number nor max", healthd.Line(text, 40))
	}
	return float64(whole), true, nil
}

// readCounters reads a file of lines "name number", or "name: number kB".
func readCounters(path string) (map[string]uint64, error) {
	raw, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	return parseCounters(raw), nil
}

// parseCounters passes over lines of another form: new kernels add some.
func parseCounters(raw []byte) map[string]uint64 {
	counters := map[string]uint64{}
	for line := range bytes.Lines(raw) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		if n, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
			counters[strings.TrimSuffix(fields[0], ":")] = n
		}
	}
	return counters
}
