// Package durable writes files so that a reader, or a restart after a crash, meets the old bytes or the new ones and
// nothing between: write beside, sync, rename, sync the directory.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNotDurable is wrapped where the new bytes are in place, and readers see them, but the folder could not be synced:
// after a crash the old ones may stand there again.
var ErrNotDurable = errors.New("written, but may not survive a crash")

// WriteFile replaces path by data. A file that exists keeps its mode, owner, access list and extended attributes; a new one
// gets perm. A symlink is followed, so that the file it names is replaced and the link stays. On any error but
// ErrNotDurable the old file is untouched.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	target, err := resolve(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	like := file{perm: perm}
	if fi, err := os.Lstat(target); err == nil {
		if !fi.Mode().IsRegular() {
			return fmt.Errorf("write %s: %s is no regular file", path, target)
		}
		st := fi.Sys().(*syscall.Stat_t)
		like = file{fi.Mode().Perm(), true, int(st.Uid), int(st.Gid)}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := replace(target, data, like, (*os.File).Sync); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// resolve follows the symlinks of a path whose last element may not exist yet.
func resolve(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, lerr := os.Lstat(path); lerr == nil {
			return "", fmt.Errorf("%s is a symlink that leads nowhere", path)
		}
		dir, derr := filepath.EvalSymlinks(filepath.Dir(path))
		return filepath.Join(dir, filepath.Base(path)), derr
	}
	return target, err
}

// file is what a file is to be like.
type file struct {
	perm     fs.FileMode
	exists   bool // then these are the old one's
	uid, gid int
}

// replace opens the folder before anything is written: a folder that cannot be read must not be found out about after
// the rename.
func replace(target string, data []byte, like file, syncDir func(*os.File) error) error {
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return err
	}
	defer dir.Close()
	tmp, err := beside(target, data, like)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, target); err != nil {
		return errors.Join(inTheWay(target, err), ignoreMissing(os.Remove(tmp)))
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrNotDurable, err)
	}
	return nil
}

// inTheWay explains why a rename fails over a file that a container has been given alone.
func inTheWay(target string, err error) error {
	if errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("%s is a mount point of its own; mount its folder instead: %w", target, err)
	}
	return err
}

// beside writes and syncs the new bytes under another name, which it returns.
func beside(target string, data []byte, like file) (name string, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*") // O_EXCL, mode 0600
	if err != nil {
		return "", err
	}
	_, err = tmp.Write(data)
	if err == nil && like.exists && (like.uid != os.Geteuid() || like.gid != os.Getegid()) {
		err = tmp.Chown(like.uid, like.gid)
	}
	if err == nil && like.exists {
		err = copyAttributes(target, int(tmp.Fd())) // before chmod, which would open the file to a group that the list shuts out
	}
	if err == nil {
		err = tmp.Chmod(like.perm)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", errors.Join(err, ignoreMissing(os.Remove(tmp.Name())))
	}
	return tmp.Name(), nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SyncDir makes the creation, rename or removal of an entry of dir survive a crash.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
