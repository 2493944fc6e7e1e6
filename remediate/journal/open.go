package journal

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Open opens the journal of a state directory for this process alone and reads what it holds; directory and files are
// made where missing (0700, 0600). It fails if another process has it (LockedError), if a newer lbmedic wrote it
// (NewerError), or if somebody else could have written to it. Damage is no error: it is cut off, kept aside and reported.
// If there is no room to keep it aside, the journal opens for reading only and Append wraps ErrBroken.
func Open(dir string, settings Settings) (*Journal, Recovered, error) {
	if settings.Now == nil {
		settings.Now = time.Now
	}
	if settings.Keep <= 0 {
		settings.Keep = 10_000
	}
	if settings.MaxBytes <= 0 {
		settings.MaxBytes = 32 << 20
	}
	j := &Journal{settings: settings, changed: make(chan struct{})}
	rec, err := j.open(dir)
	if err != nil {
		return nil, Recovered{}, fmt.Errorf("open the journal in %s: %w", dir, err)
	}
	return j, rec, nil
}

func (j *Journal) open(dir string) (rec Recovered, err error) {
	if j.store, err = openStore(dir, true); err != nil {
		return rec, err
	}
	if j.lock, err = j.store.lock(); err != nil {
		return rec, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.lock.Close())
		}
	}()
	if err := j.store.sweep(); err != nil {
		return rec, err
	}
	found, err := j.store.load()
	if err != nil {
		return rec, err
	}
	if found.missing {
		if err := j.store.put("journal", header("journal")); err != nil {
			return rec, err
		}
		found.good = int64(len(header("journal")))
	}
	if j.file, err = j.store.open("journal", os.O_RDWR); err != nil {
		return rec, err
	}
	j.marks, j.end, j.last, j.next = found.marks, found.good, max(found.last, found.Seq), found.floor+1
	j.base, j.old = found.Seq, found.Seq // a checkpoint to come makes the present one the old one
	if err := j.repair(&found); err != nil {
		j.broken = fmt.Errorf("%w: put its damage aside: %w; free the disk and restart", ErrBroken, err)
	}
	return found.Recovered, nil
}
