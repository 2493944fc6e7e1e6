package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/lbmedic/lbmedic/internal/child"
)

type execKey struct{}

// execAnswer is why programs are not run; nil where they are.
type execAnswer struct{ err error }

// PermitExec gives a ctx under which checks of kind exec run their programs, provided that nobody but root and this process's own user
// could have written the files that the checks were taken from, or replaced them: all of the configuration's. Otherwise, as without any
// call of it, each probe of such a check is an own fault that says why.
func PermitExec(ctx context.Context, files ...string) context.Context {
	err := errors.New("no configuration file was named")
	if len(files) > 0 {
		err = nil
	}
	for _, path := range files {
		err = errors.Join(err, trusted(path))
	}
	return context.WithValue(ctx, execKey{}, execAnswer{err})
}

func execPermitted(ctx context.Context) error {
	answer, ok := ctx.Value(execKey{}).(execAnswer)
	switch {
	case !ok:
		return errors.New("programs are not run here")
	case answer.err != nil:
		return fmt.Errorf("programs are not run: %w", answer.err)
	}
	return nil
}

// trustedAll is trusted of the program and of each file that is named as it is by an argument, from the folder that it runs in: an
// interpreter runs what is in its script. What is no file is none of ours to judge.
func trustedAll(c child.Command) error {
	if err := trusted(c.Path); err != nil {
		return err
	}
	for _, arg := range c.Args {
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(c.Dir, arg)
		}
		if info, err := os.Stat(arg); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := trusted(arg); err != nil {
			return fmt.Errorf("its argument %w", err)
		}
	}
	return nil
}

// trusted says who else could have written a file: by itself, or by replacing it in one of the folders above. Where a symbolic link is on
// the way, both ways count. A folder that others may write to is fine where its sticky bit keeps them from replacing what is there.
func trusted(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for _, way := range []string{real, path} {
		for at := way; ; at = filepath.Dir(at) {
			info, err := os.Stat(at)
			if err != nil {
				return err
			}
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return fmt.Errorf("whom %s belongs to cannot be told", at)
			}
			if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
				return fmt.Errorf("%s belongs to user %d; it must be root's or lbmedic's own", at, st.Uid)
			}
			if info.Mode().Perm()&0o022 != 0 && (!info.IsDir() || info.Mode()&os.ModeSticky == 0) {
				return fmt.Errorf("%s may be written by others (mode %04o); chmod go-w it", at, info.Mode().Perm())
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	return nil
}
