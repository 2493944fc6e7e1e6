package nginx

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Pending names the files of c that may hold what nginx does not run with yet: they changed after the oldest of the
// workers that take connections had started. So it is where somebody edits without a reload, or was killed between the
// two. Apply without edits makes the files live as they stand.
//
// What counts is the time of a file's last change of any kind (ctime), which nobody can set back. Every worker of now
// is at least as young as the last reload; a younger one may only have replaced one that died. A clock that was set
// forward since the change, and a change while nginx was reading its files, can hide it.
func (i *Instance) Pending(c *Closure) (map[string]bool, error) {
	m, err := openMaster(i.PIDFile, i.Exe, i.sameConf)
	if err != nil {
		return nil, err
	}
	defer m.close()
	workers, err := Workers(m.pid)
	if err != nil {
		return nil, err
	}
	up, err := uptime()
	if err != nil {
		return nil, err
	}
	wall := time.Now()
	var age time.Duration // of the configuration that runs; 0 where nobody serves
	if w := slices.IndexFunc(workers, func(w Worker) bool { return !w.ShuttingDown }); w >= 0 {
		age = up - time.Duration(workers[w].Start)*(time.Second/ticksPerSecond)
	}
	pending := map[string]bool{}
	for _, f := range c.Files {
		at, err := changed(f.Source.Path)
		if err != nil {
			return nil, fmt.Errorf("see when %s was changed: %w", f.Source.Path, err)
		}
		if age == 0 || wall.Sub(at) < age {
			pending[f.Source.Path] = true
		}
	}
	return pending, nil
}

// changed is when the file, or the symlink that leads to it, was last changed.
func changed(path string) (time.Time, error) {
	var file, link unix.Stat_t
	if err := unix.Stat(path, &file); err != nil {
		return time.Time{}, err
	}
	if err := unix.Lstat(path, &link); err != nil {
		return time.Time{}, err
	}
	last := time.Unix(file.Ctim.Unix())
	if l := time.Unix(link.Ctim.Unix()); l.After(last) {
		last = l
	}
	return last, nil
}
