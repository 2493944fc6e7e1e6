package haproxy

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Process is one HAProxy process of this host.
type Process struct {
	PID     int
	Parent  int
	Start   time.Duration // since boot; with PID it names the process for good
	Exe     string        // path of the program as this host sees it; empty where it may not be read
	Deleted bool          // that file has been replaced or removed since, as by an upgrade
	Root    string        // its root folder; other than "/" in a chroot or container
	Dir     string        // its working folder
	Args    []string      // with argv[0]
	Command CommandLine   // Args, read
}

// Paths are the configuration files and folders the process was started with, absolute as this host sees them.
func (p Process) Paths() []string {
	base := p.Command.Base(p.Dir)
	var out []string
	for _, path := range p.Command.Files {
		if !filepath.IsAbs(path) {
			path = filepath.Join(base, path) // the working folder is given as this host sees it
		} else if p.Root != "" && p.Root != "/" {
			path = filepath.Join(p.Root, path)
		}
		out = append(out, path)
	}
	return out
}

// Instance is one HAProxy: a master with its workers, or a process without a master and the older ones that it replaced.
type Instance struct {
	Master  *Process  // nil without master-worker mode
	Workers []Process // the oldest first; more than one right after a reload, or while old ones finish
}

// Current is the newest worker, which holds the listeners once it has started; nil where there is none.
func (i Instance) Current() *Process {
	if len(i.Workers) == 0 {
		return nil
	}
	return &i.Workers[len(i.Workers)-1]
}

// Older are all workers but the current one.
func (i Instance) Older() []Process {
	if len(i.Workers) == 0 {
		return nil
	}
	return i.Workers[:len(i.Workers)-1]
}

// Main is the process whose arguments a reload uses: the master, else the current worker.
func (i Instance) Main() *Process {
	if i.Master != nil {
		return i.Master
	}
	return i.Current()
}

// Instances groups processes. A process belongs to the one among them that is its parent. Those without such a parent and
// without children are one instance where they run the same files below the same root with the same master socket, as the
// successors made by `haproxy -sf` do.
func Instances(processes []Process) []Instance {
	processes = slices.Clone(processes)
	slices.SortFunc(processes, func(a, b Process) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.PID, b.PID)) })
	known := map[int]bool{}
	children := map[int][]Process{}
	for _, p := range processes {
		known[p.PID] = true
	}
	for _, p := range processes {
		if known[p.Parent] {
			children[p.Parent] = append(children[p.Parent], p)
		}
	}
	var out []Instance
	alone := map[string]int{} // index in out
	for _, p := range processes {
		switch {
		case known[p.Parent]:
		case len(children[p.PID]) > 0 || p.Command.Master:
			out = append(out, Instance{Master: &p, Workers: children[p.PID]})
		default:
			key := strings.Join(append(p.Paths(), p.Root), "\x00")
			if i, ok := alone[key]; ok {
				out[i].Workers = append(out[i].Workers, p)
				continue
			}
			alone[key] = len(out)
			out = append(out, Instance{Workers: []Process{p}})
		}
	}
	return out
}

// environmentOfMaster are variables that HAProxy sets for its own children and that would mislead `haproxy -c`: with
// HAPROXY_MWORKER_REEXEC, 3.2 takes itself for a corrupted master.
var environmentOfMaster = []string{"HAPROXY_MWORKER_REEXEC", "HAPROXY_MWORKER_WAIT_ONLY", "HAPROXY_PROCESSES", "HAPROXY_CLI",
	"HAPROXY_MASTER_CLI", "HAPROXY_STARTUP_VERSION", "HAPROXY_CFGFILES", "HAPROXY_LOCALPEER", "NOTIFY_SOCKET", "WATCHDOG_PID",
	"WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}

// CheckEnvironment is an environment from /proc made fit for `haproxy -c`: without what belongs to the running process
// alone, and with HAPROXY_MWORKER where the instance has a master, since a configuration may ask for it.
func CheckEnvironment(environ []string, master bool) []string {
	out := []string{}
	for _, e := range environ {
		name, _, ok := strings.Cut(e, "=")
		if ok && name != "" && name != "HAPROXY_MWORKER" && !slices.Contains(environmentOfMaster, name) {
			out = append(out, e)
		}
	}
	if master {
		out = append(out, "HAPROXY_MWORKER=1")
	}
	return out
}

// LookupIn makes an Env of "NAME=value" entries.
func LookupIn(environ []string) Env {
	values := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			values[name] = value
		}
	}
	return func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
}
