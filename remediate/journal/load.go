package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Recovered is what the files of a state directory hold.
type Recovered struct {
	State   json.RawMessage // of the newest readable checkpoint; nil without one
	Seq     uint64          // the records up to this one are in State
	Records []Record        // those behind State, oldest first
	Damage  []Damage        // what was unreadable; log each of them

	// Incomplete is set when records that could have changed the state are missing. What is ours in the balancers must
	// then be read back from them, and nothing may be undone only because State or Records say that we did it. It stays
	// set, over restarts too, until the next Checkpoint: write that one when the reading back is done.
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

// loaded is what the files hold, and what it takes to go on writing them.
type loaded struct {
	Recovered
	scanned
	missing bool     // there is no journal yet
	marked  bool     // an earlier start has left the mark that records are missing
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
	}
	_, err := os.Lstat(s.path(incomplete))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	l.marked = err == nil
	f, err := s.open("journal", os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		l.missing, l.floor = true, l.Seq
		l.Incomplete = l.marked || len(l.Damage) > 0 || l.State != nil
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
	l.Incomplete = l.marked || l.hole || l.refused != nil && !l.torn ||
		l.last < l.Seq || // cut short: the checkpoint was written behind a record that is gone
		l.last == 0 && len(l.Damage) > 0
	if l.refused != nil {
		l.Damage = append(l.Damage, Damage{File: "journal", Offset: l.good, Bytes: l.size - l.good, Why: l.refused, Torn: l.torn})
	}
	return l, nil
}
