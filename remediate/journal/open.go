package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Recovered is what the files of a state directory hold.
type Recovered struct {
	State   json.RawMessage // of the newest readable checkpoint; nil without one
	Seq     uint64          // the records up to this one are in State
	Records []Record        // those behind State, oldest first
	Damage  []Damage        // what was unreadable; log each of them

	// Incomplete is set when records that could have changed the state are missing. What is ours in the balancers must
	// then be read back from them, and nothing may be undone only because State or Records say that we did it.
	Incomplete bool
}

// Damage is a part of a file that was refused.
type Damage struct {
	File   string // journal, checkpoint or checkpoint.old
	Offset int64  // where it begins
	Bytes  int64  // how much was refused
	Why    error
	Torn   bool   // the end of a write that was never acknowledged: nothing is lost
	Aside  string // the file in the state directory that keeps the bytes; empty from Inspect
}

func (d Damage) String() string {
	text := fmt.Sprintf("%s: %d bytes at offset %d are refused: %v", d.File, d.Bytes, d.Offset, d.Why)
	if d.Aside != "" {
		text += "; they are kept in " + d.Aside
	}
	return text
}

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
	j.base, j.old = found.Seq, found.old
	if err := j.repair(&found); err != nil {
		j.broken = fmt.Errorf("%w: put its damage aside: %w; free the disk and restart", ErrBroken, err)
	}
	return found.Recovered, nil
}

// loaded is what the files hold, and what it takes to go on writing them.
type loaded struct {
	Recovered
	scanned
	missing bool     // there is no journal yet
	old     uint64   // the number of checkpoint.old, or of the checkpoint if there is no other
	bad     [][]byte // the bytes of Damage in checkpoints, in the order of Damage
}

// load reads without changing anything.
func (s store) load() (loaded, error) {
	var l loaded
	for _, name := range []string{"checkpoint", "checkpoint.old"} {
		cp, err := s.loadCheckpoint(name)
		var damaged *damagedError
		switch {
		case errors.As(err, &damaged):
			l.Damage = append(l.Damage, Damage{File: name, Bytes: int64(len(damaged.data)), Why: damaged.why})
			l.bad = append(l.bad, damaged.data)
		case err != nil:
			return l, fmt.Errorf("read %s: %w", name, err)
		case l.State == nil && cp.state != nil:
			l.State, l.Seq = cp.state, cp.seq
		}
		l.old = cp.seq
	}
	f, err := s.open("journal", os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		l.missing, l.floor = true, l.Seq
		l.Incomplete = len(l.Damage) > 0 || l.State != nil
		return l, nil
	}
	if err != nil {
		return l, err
	}
	defer f.Close()
	if l.scanned, err = scan(f, l.Seq); err != nil {
		return l, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	l.Records = l.records
	l.Incomplete = l.hole || l.refused != nil && !l.torn ||
		l.last < l.Seq || // cut short: the checkpoint was written behind a record that is gone
		l.last == 0 && len(l.Damage) > 0
	if l.refused != nil {
		l.Damage = append(l.Damage, Damage{File: "journal", Offset: l.good, Bytes: l.size - l.good, Why: l.refused, Torn: l.torn})
	}
	return l, nil
}

// repair keeps the damage aside and cuts it off, in that order: a crash in between finds the same damage again.
func (j *Journal) repair(l *loaded) error {
	for i := range l.Damage {
		d := &l.Damage[i]
		var err error
		if d.File == "journal" {
			d.Aside, err = j.cut(d)
		} else {
			d.Aside, err = j.store.aside(d.File, l.bad[i])
			if err == nil {
				err = os.Remove(j.store.path(d.File))
			}
		}
		if err != nil {
			return err
		}
	}
	if l.good == 0 { // empty, or its first line was damaged
		if err := j.store.put("journal", header("journal")); err != nil {
			return err
		}
		return j.reopen()
	}
	return nil
}

func (j *Journal) cut(d *Damage) (string, error) {
	data, err := io.ReadAll(io.NewSectionReader(j.file, d.Offset, min(d.Bytes, maxAside)))
	if err != nil {
		return "", err
	}
	bad, err := j.store.aside("journal", data)
	if err != nil && !d.Torn {
		return "", err
	}
	if err != nil {
		bad = "" // nothing acknowledged is lost, and a full disk must not keep the daemon from working
	}
	if err := j.file.Truncate(d.Offset); err != nil {
		return "", err
	}
	return bad, fdatasync(j.file)
}
