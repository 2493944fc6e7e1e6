// Package journal keeps on disk what lbmedic is about to do and what came of it: one append-only file with a checksum
// on every line, and a checkpoint of the state that the lines lead to. It stores; what a record means is known elsewhere.
//
// A record is on disk before Append returns. Whatever a crash, a full disk or a bad sector does to the files, Open gives
// back a prefix of what was written, in order, and says what it had to leave out; it never gives a record that was not
// written. Damaged bytes are kept aside as journal.bad-N.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Settings of a journal; the zero value is good.
type Settings struct {
	Now      func() time.Time // wall clock for Record.At; default time.Now
	Keep     int              // records kept for history by a rotation; default 10,000
	MaxBytes int64            // history beyond this size is let go of even if it has fewer records; default 32 MiB
}

// Journal is the open journal of one state directory. Its methods may be called concurrently.
type Journal struct {
	store    store
	settings Settings
	lock     *os.File

	mu      sync.RWMutex
	file    *os.File
	marks   []mark // where each record of file begins, oldest first
	end     int64  // length of file
	last    uint64 // number of the newest record, or of the checkpoint if that is newer
	next    uint64 // number of the record to come; a jump passes over refused ones
	base    uint64 // number of the newest checkpoint
	old     uint64 // number of the checkpoint before
	broken  error  // why nothing can be appended any more
	changed chan struct{}

	incomplete bool // the file of that name may be there
}

// ErrClosed is what a journal answers after Close.
var ErrClosed = errors.New("the journal is closed")

// ErrBroken is wrapped by every Append of a journal whose file is in doubt: without a journal nothing may be done that
// would have to be undone. Reading still works. Open it again once the cause is gone.
var ErrBroken = errors.New("the journal cannot be written")

// Entry is a record to be: its kind, and a body that encoding/json can write.
type Entry struct {
	Kind string
	Body any
}

// Append writes a record and returns once it is on the disk. After an error nothing of it is in the journal, and the
// next Append may succeed, unless the error wraps ErrBroken. The line must stay within MaxRecord.
func (j *Journal) Append(kind string, body any) (Record, error) {
	records, err := j.AppendAll(Entry{kind, body})
	if err != nil {
		return Record{}, err
	}
	return records[0], nil
}

// AppendAll writes several records with one write and one sync: all of them, or none if it gives an error. A crash
// before it returns can leave the first few.
func (j *Journal) AppendAll(entries ...Entry) ([]Record, error) {
	records, err := j.append(entries)
	if err != nil {
		return nil, fmt.Errorf("append to %s: %w", j.store.path("journal"), err)
	}
	return records, nil
}

func (j *Journal) append(entries []Entry) ([]Record, error) {
	bodies := make([]json.RawMessage, len(entries))
	for i, e := range entries {
		if err := checkKind(e.Kind); err != nil {
			return nil, err
		}
		body, err := json.Marshal(e.Body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Kind, err)
		}
		bodies[i] = body
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil || len(entries) == 0 {
		return nil, j.broken
	}
	at := j.settings.Now().UTC().Round(0)
	records := make([]Record, len(entries))
	marks := make([]mark, len(entries))
	var lines []byte
	last, next := j.last, j.next
	for i, e := range entries {
		records[i] = Record{Seq: next, At: at, Kind: e.Kind, Body: bodies[i]}
		marks[i] = mark{next, j.end + int64(len(lines))}
		var err error
		if lines, err = appendRecord(lines, records[i], last); err != nil {
			return nil, err
		}
		last, next = next, next+1
	}
	if err := j.write(lines); err != nil {
		return nil, err
	}
	j.marks = append(j.marks, marks...)
	j.end += int64(len(lines))
	j.last, j.next = last, next
	j.wake()
	return records, nil
}

// write puts lines at the end of the file and on the disk, or takes back what of them arrived.
func (j *Journal) write(lines []byte) error {
	_, err := j.file.WriteAt(lines, j.end)
	if err == nil {
		err = fdatasync(j.file)
	}
	if err == nil {
		return nil
	}
	back := j.file.Truncate(j.end)
	if back == nil {
		back = fdatasync(j.file)
	}
	if back != nil {
		j.broken = fmt.Errorf("%w: %w, and the failed write could not be taken back: %w; free the disk and restart", ErrBroken, err, back)
		return j.broken
	}
	return err
}

func fdatasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

// wake tells everybody who waits to look again.
func (j *Journal) wake() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// Last is the number of the newest record, 0 in a new journal.
func (j *Journal) Last() uint64 {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.last
}

// Pending is how many records the newest checkpoint does not cover: what a restart has to read.
func (j *Journal) Pending() int {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return len(j.marks) - after(j.marks, j.base)
}

// Close gives the state directory free. A second Close does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if errors.Is(j.broken, ErrClosed) {
		return nil
	}
	j.broken = ErrClosed
	j.wake()
	return errors.Join(j.file.Close(), j.lock.Close())
}
