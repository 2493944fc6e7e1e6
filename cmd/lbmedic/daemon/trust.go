package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// trusted says why the real program must not be run on files: validating a configuration can execute code that it names
// (lua-load, load_module), so only root and ourselves may have been able to write them. Every file and every folder above
// it is looked at; a folder that others may write to is fine where its sticky bit keeps them from replacing what is there.
func trusted(paths []string) error {
	seen := map[string]bool{}
	var errs []error
	for _, path := range paths {
		path, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		for ; !seen[path]; path = filepath.Dir(path) {
			seen[path] = true
			fi, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			errs = append(errs, trustedEntry(path, fi))
		}
	}
	return errors.Join(errs...)
}

func trustedEntry(path string, fi fs.FileInfo) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: its owner cannot be told", path)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d; the configuration is validated only where root or lbmedic's own user owns it", path, st.Uid)
	}
	if fi.Mode().Perm()&0o022 != 0 && (!fi.IsDir() || fi.Mode()&fs.ModeSticky == 0) {
		return fmt.Errorf("%s may be written by others (mode %04o); chmod go-w it to have the configuration validated", path, fi.Mode().Perm())
	}
	return nil
}
