package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/lbmedic/lbmedic/internal/durable"
)

// store is the state directory. It is a symlink where systemd's DynamicUser= made it one; what is in it never is.
type store struct {
	dir      string
	uid, gid int // the directory's owner, whom every file in it belongs to
}

// openStore checks the directory, and makes it where create is set.
func openStore(dir string, create bool) (store, error) {
	if create {
		if err := makeDir(dir); err != nil {
			return store{}, err
		}
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return store{}, err
	}
	if !fi.IsDir() {
		return store{}, fmt.Errorf("%s is no directory", dir)
	}
	s := store{dir: dir, uid: os.Geteuid(), gid: os.Getegid()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.uid, s.gid = int(st.Uid), int(st.Gid)
	}
	return s, s.trust(dir, fi)
}

// makeDir makes the directory and those above it, and has each on the disk.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// trust refuses what somebody else could have written. Root may work in the directory of the daemon's user.
func (s store) trust(path string, fi fs.FileInfo) error {
	if fi.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written by its group or by all: chmod go-w %[1]s", path)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	uid := os.Geteuid()
	if !ok || int(st.Uid) == uid || uid == 0 && int(st.Uid) == s.uid {
		return nil
	}
	return fmt.Errorf("%s belongs to user %d and not to this process's user %d: chown it, or run as its owner", path, st.Uid, uid)
}

func (s store) path(name string) string { return filepath.Join(s.dir, name) }

// open opens a file of the directory by its own name: no symlink is followed and no FIFO waited for.
func (s store) open(name string, flag int) (*os.File, error) {
	path := s.path(name)
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symlink, which a state file never is: look where it leads and remove it", path)
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file: look what it is and remove it", path)
	}
	if err == nil {
		err = s.trust(path, fi)
	}
	if err == nil && flag&os.O_CREATE != 0 {
		err = s.own(path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// own gives a file that root has made to the directory's owner, so that the daemon can open it again.
func (s store) own(path string) error {
	if os.Geteuid() != 0 || s.uid == 0 {
		return nil
	}
	return os.Lchown(path, s.uid, s.gid)
}

// put replaces a file durably: afterwards, and after a crash at any moment, it holds the old bytes or the new.
func (s store) put(name string, data []byte) error {
	path := s.path(name)
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file: look what it is and remove it", path)
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return s.own(path)
}

// read returns a file, or what of it fits into limit and errLarge.
func (s store) read(name string, limit int64) ([]byte, error) {
	f, err := s.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errLarge
	}
	return data, err
}

// sweep removes the temporary files of a write that a crash has interrupted.
func (s store) sweep() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		ours := slices.ContainsFunc([]string{".journal.", ".checkpoint.", ".incomplete."}, func(prefix string) bool {
			return strings.HasPrefix(e.Name(), prefix)
		})
		if !ours {
			continue
		}
		if err := os.Remove(s.path(e.Name())); err != nil {
			return err
		}
	}
	return nil
}
