package haproxy

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// CommandLine is what the arguments of a HAProxy process say.
type CommandLine struct {
	Program      string   // argv[0]
	Files        []string // -f and what follows --; files or folders, as written
	Dir          string   // -C: where relative paths belong
	LocalPeer    string   // -L
	PIDFile      string   // -p
	Master       bool     // -W or -Ws
	MasterSocket string   // -S without its options
	Old          []int    // the process ids behind -sf and -st
	Check        []string // the arguments with which `haproxy -c` judges as this process would
}

// Options that take one argument, and whether they matter to `haproxy -c`.
var optionsWithArgument = map[string]bool{"-f": true, "-C": true, "-L": true, "-m": true, "-n": true, "-N": true,
	"-p": false, "-S": false, "-x": false, "-cc": false}

// Options without one that matter to it: name resolution, -dW (warnings are errors), -4.
var optionsForCheck = []string{"-dr", "-dG", "-dV", "-dW", "-dD", "-4"}

// ParseCommandLine reads the arguments of a process, as /proc/PID/cmdline has them. What starts, stops or talks to processes
// (-W, -Ws, -D, -S, -sf, -st, -x, -p and -d modes) is left out of Check.
func ParseCommandLine(argv []string) CommandLine {
	var c CommandLine
	if len(argv) == 0 {
		return c
	}
	c.Program = argv[0]
	args := argv[1:]
	for i := 0; i < len(args); i++ {
		a := args[i]
		checks, takes := optionsWithArgument[a]
		switch {
		case a == "--":
			c.Files = append(c.Files, args[i+1:]...)
			if rest := args[i:]; len(rest) > 1 {
				c.Check = append(c.Check, rest...)
			}
			return c
		case a == "-sf" || a == "-st":
			for ; i+1 < len(args) && !strings.HasPrefix(args[i+1], "-"); i++ {
				if pid, err := strconv.Atoi(args[i+1]); err == nil {
					c.Old = append(c.Old, pid)
				}
			}
		case a == "-W" || a == "-Ws":
			c.Master = true
		case takes && i+1 < len(args):
			i++
			c.option(a, args[i])
			if checks {
				c.Check = append(c.Check, a, args[i])
			}
		case slices.Contains(optionsForCheck, a): // not -q, which would silence the messages
			c.Check = append(c.Check, a)
		}
	}
	return c
}

func (c *CommandLine) option(name, value string) {
	switch name {
	case "-f":
		c.Files = append(c.Files, value)
	case "-C":
		c.Dir = value
	case "-L":
		c.LocalPeer = value
	case "-p":
		c.PIDFile = value
	case "-S":
		c.MasterSocket, _, _ = strings.Cut(value, ",")
	}
}

// Base is the folder to which relative paths belong, for a process whose working folder is dir.
func (c CommandLine) Base(dir string) string {
	if c.Dir == "" {
		return dir
	}
	if filepath.IsAbs(c.Dir) {
		return filepath.Clean(c.Dir)
	}
	return filepath.Join(dir, c.Dir)
}
