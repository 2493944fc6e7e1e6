package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
)

// after is the index of the first mark with a number above seq.
func after(marks []mark, seq uint64) int {
	return sort.Search(len(marks), func(i int) bool { return marks[i].seq > seq })
}

// Read returns the records behind the number seq that the journal still holds, oldest first, at most limit of them.
func (j *Journal) Read(seq uint64, limit int) ([]Record, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if errors.Is(j.broken, ErrClosed) {
		return nil, ErrClosed
	}
	return readMarks(j.file, j.marks, j.end, seq, limit)
}

func readMarks(r io.ReaderAt, marks []mark, end int64, seq uint64, limit int) ([]Record, error) {
	first := after(marks, seq)
	marks = marks[first:]
	n := max(0, min(limit, len(marks)))
	records := make([]Record, 0, n)
	for i, m := range marks[:n] {
		next := end
		if i+1 < len(marks) {
			next = marks[i+1].offset
		}
		line := make([]byte, next-m.offset)
		if _, err := io.ReadFull(io.NewSectionReader(r, m.offset, next-m.offset), line); err != nil {
			return nil, fmt.Errorf("read record %d: %w", m.seq, err)
		}
		got, _, text, err := parseLine(trimNewline(line))
		if err == nil && got != m.seq {
			err = errShape
		}
		if err != nil {
			return nil, fmt.Errorf("read record %d, which has changed on disk: %w", m.seq, err)
		}
		rec, err := decodeRecord(got, text)
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
	return records, nil
}

// Wait returns nil once there is a number above seq: then Read. It returns ctx's error, or ErrClosed.
func (j *Journal) Wait(ctx context.Context, seq uint64) error {
	for {
		j.mu.RLock()
		last, changed, broken := j.last, j.changed, j.broken
		j.mu.RUnlock()
		switch {
		case errors.Is(broken, ErrClosed):
			return ErrClosed
		case last > seq:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Inspect reads a state directory without a lock and without changing anything, beside a running daemon or without one.
// A torn last line (Damage.Torn) is then no more than an Append in progress.
func Inspect(dir string) (Recovered, error) {
	l, err := inspect(dir)
	return l.Recovered, err
}

// History is Read without a daemon.
func History(dir string, seq uint64, limit int) ([]Record, error) {
	records, err := history(dir, seq, limit)
	if err != nil {
		return nil, fmt.Errorf("read the journal in %s: %w", dir, err)
	}
	return records, nil
}

// inspect reads again when a checkpoint was written between the reading of its file and of the journal.
func inspect(dir string) (l loaded, err error) {
	s, err := openStore(dir, false)
	if err != nil {
		return l, fmt.Errorf("read the journal in %s: %w", dir, err)
	}
	for range 3 {
		l, err = s.load()
		if err != nil {
			return l, fmt.Errorf("read the journal in %s: %w", dir, err)
		}
		if !l.Incomplete {
			break
		}
	}
	return l, nil
}

// history has the file open before the checkpoint is read: a rotation puts another file under its name.
func history(dir string, seq uint64, limit int) ([]Record, error) {
	s, err := openStore(dir, false)
	if err != nil {
		return nil, err
	}
	f, err := s.open("journal", os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cp, err := s.loadCheckpoint("checkpoint")
	var damaged *damagedError
	if err != nil && !errors.As(err, &damaged) {
		return nil, err
	}
	found, err := scan(f, cp.seq)
	if err != nil {
		return nil, err
	}
	return readMarks(f, found.marks, found.good, seq, limit)
}
