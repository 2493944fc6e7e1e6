package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/lbmedic/lbmedic/internal/durable"
)

// MaxCheckpoint bounds the state in a checkpoint, in bytes.
const MaxCheckpoint = 64 << 20

// checkpoint is the state after every record up to seq.
type checkpoint struct {
	seq   uint64
	state json.RawMessage
}

func (c checkpoint) encode() []byte {
	return appendLine(header("checkpoint"), c.seq, 0, c.state)
}

func decodeCheckpoint(data []byte) (checkpoint, error) {
	head, rest, ok := bytes.Cut(data, []byte{'\n'})
	if !ok {
		return checkpoint{}, errHeader
	}
	if err := parseHeader(head, "checkpoint"); err != nil {
		return checkpoint{}, err
	}
	if len(rest) == 0 || rest[len(rest)-1] != '\n' {
		return checkpoint{}, errTorn
	}
	seq, prev, text, err := parseLine(rest[:len(rest)-1])
	if err == nil && (prev != 0 || !json.Valid(text)) {
		err = errShape
	}
	if err != nil {
		return checkpoint{}, err
	}
	return checkpoint{seq: seq, state: json.RawMessage(text)}, nil
}

// loadCheckpoint reads one of the two checkpoint files. A file that is not there is a checkpoint of nothing.
func (s store) loadCheckpoint(name string) (checkpoint, error) {
	data, err := s.read(name, MaxCheckpoint+256)
	if errors.Is(err, fs.ErrNotExist) {
		return checkpoint{}, nil
	}
	if err != nil && !errors.Is(err, errLarge) {
		return checkpoint{}, err
	}
	var cp checkpoint
	if err == nil {
		cp, err = decodeCheckpoint(data)
	}
	if err != nil {
		var newer *NewerError
		if errors.As(err, &newer) {
			return checkpoint{}, err
		}
		return checkpoint{}, &damagedError{data, err}
	}
	return cp, nil
}

var errLarge = fmt.Errorf("it is larger than %d bytes", MaxCheckpoint)

// damagedError carries the bytes that could be read and not understood.
type damagedError struct {
	data []byte
	why  error
}

func (e *damagedError) Error() string { return e.why.Error() }
func (e *damagedError) Unwrap() error { return e.why }

// Checkpoint writes down state, which must be what all records up to seq lead to, and then lets go of records that
// are behind neither this checkpoint nor the one before and are not among the last Settings.Keep. The checkpoint before
// stays as checkpoint.old: with it and the records since, one unreadable checkpoint costs nothing.
func (j *Journal) Checkpoint(seq uint64, state any) error {
	text, err := json.Marshal(state)
	if err == nil && len(text) > MaxCheckpoint {
		err = fmt.Errorf("the state has %d bytes, more than %d", len(text), MaxCheckpoint)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint %d: %w", seq, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return fmt.Errorf("write checkpoint %d: %w", seq, j.broken)
	}
	if seq < j.base || seq > j.last {
		return fmt.Errorf("write checkpoint %d: the records to cover are %d to %d", seq, j.base, j.last)
	}
	if err := j.putCheckpoint(checkpoint{seq, text}); err != nil {
		return fmt.Errorf("write checkpoint %d: %w", seq, err)
	}
	if err := j.rotate(); err != nil {
		return fmt.Errorf("rotate the journal after checkpoint %d: %w", seq, err)
	}
	return nil
}

// putCheckpoint makes the present checkpoint the old one first. Between the two renames the old one and the records
// since still hold everything.
func (j *Journal) putCheckpoint(cp checkpoint) error {
	err := os.Rename(j.store.path("checkpoint"), j.store.path("checkpoint.old"))
	if err == nil {
		j.old = j.base
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := j.store.put("checkpoint", cp.encode()); err != nil {
		return err
	}
	j.base = cp.seq
	return j.complete()
}

// complete removes the mark that records are missing: the caller has just said what they led to.
func (j *Journal) complete() error {
	if !j.incomplete {
		return nil
	}
	if err := os.Remove(j.store.path(incomplete)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j.incomplete = false
	return durable.SyncDir(j.store.dir)
}
