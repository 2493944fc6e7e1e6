package control

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/lbconfig/nginx"
)

const (
	// readAnyway is how old what was read of an nginx may become although nothing seems to have changed.
	readAnyway = 30 * time.Second
	// stillMoving is how young a change may be for another to hide behind it, within one tick of the file system's clock.
	stillMoving = 2 * time.Second
)

// stamp is what changes when a file or a folder does: a file is written or replaced, a folder gains or loses a name.
// The zero value stands for one that is not there.
type stamp struct {
	inode            uint64
	size             int64
	written, changed unix.Timespec
}

func stampOf(path string) (stamp, error) {
	var st unix.Stat_t
	switch err := unix.Stat(path, &st); {
	case errors.Is(err, unix.ENOENT):
		return stamp{}, nil
	case err != nil:
		return stamp{}, err
	}
	return stamp{st.Ino, st.Size, st.Mtim, st.Ctim}, nil
}

// nginxSeen is a look at an nginx, and what would be different if another look saw something else.
type nginxSeen struct {
	observation Observation
	bounds      string // what ends the wait for old workers at the latest
	stamps      map[string]stamp
	whole       bool // the stamps can be relied upon
}

// stands reports whether another look would see the same.
func (s *nginxSeen) stands(now time.Time) bool {
	if s == nil || !s.whole || now.Sub(s.observation.At) >= readAnyway {
		return false
	}
	if err := unix.Kill(s.observation.Generation.PID, 0); errors.Is(err, unix.ESRCH) {
		return false
	}
	for path, before := range s.stamps {
		if is, err := stampOf(path); err != nil || is != before {
			return false
		}
	}
	return true
}

// stampAll remembers every file of the configuration, the folders that its includes look into, and the pid file, which a
// new master writes. It comes after the reading, so what changed since shortly before that is not relied upon.
func (s *nginxSeen) stampAll(pidFile string, c *nginx.Closure) {
	s.stamps, s.whole = map[string]stamp{}, true
	add := func(path string) {
		is, err := stampOf(path)
		s.stamps[path] = is
		if err != nil || time.Unix(is.changed.Unix()).After(s.observation.At.Add(-stillMoving)) {
			s.whole = false
		}
	}
	add(pidFile)
	for _, f := range c.Files {
		add(f.Source.Path)
		add(filepath.Dir(f.Source.Path))
		for _, path := range includes(&f.Root) {
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(c.Conf), path)
			}
			if i := strings.IndexAny(path, "*?["); i >= 0 {
				path = path[:i] + "x" // any name in the last folder without a wildcard
			}
			add(filepath.Dir(path))
		}
	}
}

func includes(b *nginx.Block) (paths []string) {
	for _, d := range b.Directives {
		switch {
		case d.Block != nil:
			paths = append(paths, includes(d.Block)...)
		case d.Name() == "include":
			paths = append(paths, d.Arg(1))
		}
	}
	return paths
}
