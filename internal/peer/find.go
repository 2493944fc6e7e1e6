// Package peer finds the real programs that lbmedic works beside (HAProxy and nginx, in several versions) and runs them
// on loopback, for the demo and for the tests. It imports nothing of ours and stops only what it started.
package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Program is one version of a peer.
type Program struct {
	Name string // "haproxy-2.6", or "haproxy" for the one on PATH
	Kind string // "haproxy" or "nginx"
	Path string // absolute
}

// Installed returns the program of that kind that the host itself carries. LBMEDIC_PEERS=none hides it.
func Installed(kind string) (Program, bool) {
	if os.Getenv("LBMEDIC_PEERS") == "none" {
		return Program{}, false
	}
	path, err := exec.LookPath(kind)
	if err != nil { // root's PATH may lack sbin
		path, err = exec.LookPath(filepath.Join("/usr/sbin", kind))
	}
	if err != nil {
		return Program{}, false
	}
	return Program{Name: kind, Kind: kind, Path: path}, true
}

// Cached returns the versions of that kind that integration/peers.sh has made, oldest first. $LBMEDIC_PEERS names
// the cache folder (default ~/.cache/lbmedic/peers); the word "none" hides every version.
func Cached(kind string) []Program {
	dir, ok := cache()
	if !ok {
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(dir, "bin", kind+"-[0-9]*"))
	if err != nil {
		return nil
	}
	programs := make([]Program, 0, len(paths))
	for _, p := range paths {
		programs = append(programs, Program{Name: filepath.Base(p), Kind: kind, Path: p})
	}
	slices.SortFunc(programs, func(a, b Program) int { return compareVersions(a.Version(), b.Version()) })
	return programs
}

// cache is the folder that integration/peers.sh fills.
func cache() (dir string, ok bool) {
	if dir := os.Getenv("LBMEDIC_PEERS"); dir != "" {
		return dir, true
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "lbmedic", "peers"), err == nil
}

// Version is "2.6" for a cached program and empty for the installed one.
func (p Program) Version() string {
	if p.Name == p.Kind {
		return ""
	}
	return strings.TrimPrefix(p.Name, p.Kind+"-")
}

// AtLeast reports whether a cached program is of version want ("3.0") or newer.
func (p Program) AtLeast(want string) bool { return compareVersions(p.Version(), want) >= 0 }

func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if x != y {
			return x - y
		}
	}
	return 0
}
