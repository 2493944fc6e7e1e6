// Package tail follows a log from its end on: line by line, through rotation by rename and by copy and truncation, without losing a line
// that is still there to be read.
package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// DefaultLine and DefaultRead are the bounds of a Tail that names none.
const (
	DefaultLine = 4 << 10
	DefaultRead = 8 << 20
)

// Tail follows one path. It is not for use by several goroutines at once.
type Tail struct {
	Path string
	Line int   // bytes of a line that are given; the rest of a longer one is passed over. 0 means DefaultLine
	Read int64 // bytes that one Next reads at most; 0 means DefaultRead

	// Stop is asked after each line whether the rest is left for the next call; nil never stops.
	Stop func() bool

	begun bool    // the end has been looked for
	now   *stream // what is at the path; nil where nothing is
	last  *stream // what was there before: a program writes to a renamed log until it is told to open the new one
}

// Next calls line with every line that was written since the last call, without its newline; the bytes are good until line returns. The
// first call begins at the end of the file as it is then, or at the beginning of one that appears later. More is true where something is left
// for the next call: one reads no more than its bound. A missing file is no error: there is nothing to read.
//
// A file that was renamed is read on beside the one that took its place, until it is deleted or the next one is renamed. Where the file was
// truncated, what was not read yet is looked for in a copy beside it, whose name begins with that of the log, as logrotate makes it with
// copytruncate. Lines are lost that are truncated without a copy, those of a log that is rotated twice between two calls, and those of one
// that was empty at the last call and is truncated before the next.
func (t *Tail) Next(line func([]byte)) (more bool, err error) {
	budget := t.Read
	if budget <= 0 {
		budget = DefaultRead
	}
	if err := t.turn(line); err != nil {
		return false, err
	}
	if t.last != nil {
		if err := t.release(line); err != nil {
			return false, err
		}
	}
	if t.last != nil {
		if budget, err = t.last.drain(budget, line); err != nil || budget == 0 {
			return again(budget, err)
		}
	}
	if t.now == nil {
		if err := t.open(); err != nil || t.now == nil {
			return false, err
		}
	}
	return again(t.now.drain(budget, line))
}

// again says whether there is more to be read: what was truncated at this very moment is found out about by the next call.
func again(budget int64, err error) (bool, error) {
	if errors.Is(err, errTruncated) {
		return true, nil
	}
	return budget == 0 && err == nil, err
}

// turn finds out what became of the file since the last call.
func (t *Tail) turn(line func([]byte)) error {
	if t.now == nil {
		return nil
	}
	cut, err := t.now.truncated()
	if err != nil {
		return err
	}
	if cut {
		if err := t.retire(t.copied(), line); err != nil {
			return err
		}
		t.now.offset, t.now.before = 0, nil
		return nil
	}
	replaced, err := t.replaced()
	if err != nil || !replaced {
		return err
	}
	old := t.now
	t.now = nil
	return t.retire(old, line)
}

// retire makes s the one that is read beside the file at the path. Nil is none: then a line whose end is lost ends here.
func (t *Tail) retire(s *stream, line func([]byte)) error {
	if s == nil {
		t.now.end(line)
		return nil
	}
	before := t.last
	t.last = s
	if before == nil {
		return nil
	}
	before.end(line)
	return before.file.Close()
}

// release lets the file before this one go once something else was written over it, or once it is deleted and read to its end: it would take
// up room on the disk as long as we hold it.
func (t *Tail) release(line func([]byte)) error {
	cut, err := t.last.truncated()
	if err != nil {
		return err
	}
	info, err := t.last.file.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !cut && (!ok || st.Nlink > 0 || info.Size() > t.last.offset) {
		return nil
	}
	t.last.end(line)
	f := t.last.file
	t.last = nil
	return f.Close()
}

// open opens the path, at its end the first time.
func (t *Tail) open() error {
	first := !t.begun
	f, err := openFile(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		t.begun = true
		return nil
	}
	if err != nil {
		return err
	}
	s := &stream{file: f, most: t.Line, stop: t.stopped}
	if s.most <= 0 {
		s.most = DefaultLine
	}
	if first {
		if err := s.toEnd(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	t.begun, t.now = true, s
	return nil
}

func (t *Tail) stopped() bool { return t.Stop != nil && t.Stop() }

// openFile opens a regular file; a named pipe in its place does not make it wait.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("follow %s: it is no regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// replaced reports whether the path is another file than the open one. Between the rename and the new file it is none, and may be written to
// yet.
func (t *Tail) replaced() (bool, error) {
	open, err := t.now.file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !os.SameFile(open, there), err
}

// Close lets the files go. A later Next begins at the beginning of what is at the path then.
func (t *Tail) Close() error {
	var errs []error
	for _, s := range []*stream{t.last, t.now} {
		if s != nil {
			errs = append(errs, s.file.Close())
		}
	}
	t.last, t.now = nil, nil
	return errors.Join(errs...)
}
