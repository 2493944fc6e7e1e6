package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// rotate writes the journal anew without the records that nobody needs, once they are as many as half of Keep or the
// file is too large. What the older of the two checkpoints does not cover always stays.
func (j *Journal) rotate() error {
	needed := after(j.marks, j.old)
	first := min(needed, max(0, len(j.marks)-j.settings.Keep))
	needed = min(needed, len(j.marks)-1) // one record stays, so that a journal cut short is told from an empty one
	for first < needed && j.end-j.marks[first].offset > j.settings.MaxBytes {
		first++
	}
	if first == 0 || 2*first < j.settings.Keep && j.end <= j.settings.MaxBytes {
		return nil
	}
	from := j.end
	if first < len(j.marks) {
		from = j.marks[first].offset
	}
	head := header("journal")
	data := make([]byte, len(head)+int(j.end-from))
	copy(data, head)
	if _, err := io.ReadFull(io.NewSectionReader(j.file, from, j.end-from), data[len(head):]); err != nil {
		return err
	}
	err := j.store.put("journal", data)
	replaced, rerr := j.replaced()
	if rerr == nil && replaced {
		rerr = j.reopen()
	}
	if rerr != nil {
		j.broken = fmt.Errorf("%w: %w; restart", ErrBroken, rerr)
		return errors.Join(err, j.broken)
	}
	if replaced {
		j.marks = slices.Clone(j.marks[first:])
		shift := from - int64(len(head))
		for i := range j.marks {
			j.marks[i].offset -= shift
		}
		j.end = int64(len(data))
	}
	return err
}

// replaced says whether the journal's name leads to another file than the open one. A write that failed may have
// renamed all the same.
func (j *Journal) replaced() (bool, error) {
	now, err := os.Lstat(j.store.path("journal"))
	if err != nil {
		return false, err
	}
	open, err := j.file.Stat()
	return !os.SameFile(now, open), err
}

func (j *Journal) reopen() error {
	f, err := j.store.open("journal", os.O_RDWR)
	if err != nil {
		return err
	}
	old := j.file
	j.file = f
	fi, err := f.Stat()
	if err == nil {
		j.end = fi.Size()
	}
	return errors.Join(err, old.Close())
}
