package tail

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// chunk is how much is read at once, and memory how many bytes before the offset are remembered.
const (
	chunk  = 64 << 10
	memory = 64
)

// stream is a file that is read line by line.
type stream struct {
	file    *os.File
	most    int         // bytes of a line
	stop    func() bool // nil never stops
	offset  int64       // how much of it has been read
	before  []byte      // the last bytes of that, by which a file is known again that was copied, or truncated and grown
	partial []byte      // a line whose end is not there yet
	buf     []byte
}

// toEnd passes over what is in the file.
func (s *stream) toEnd() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	s.offset = info.Size()
	b := make([]byte, min(memory, s.offset))
	n, err := s.file.ReadAt(b, s.offset-int64(len(b)))
	if errors.Is(err, io.EOF) { // it was truncated at this very moment
		err = nil
	}
	s.before = b[:n]
	return err
}

// truncated reports whether the file is shorter than what was read of it, or holds something else by now.
func (s *stream) truncated() (bool, error) {
	info, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	same, err := s.continuedBy(s.file)
	return err == nil && (info.Size() < s.offset || !same), err
}

// continuedBy reports whether f holds just below the offset what was read there.
func (s *stream) continuedBy(f io.ReaderAt) (bool, error) {
	b := make([]byte, len(s.before))
	n, err := f.ReadAt(b, s.offset-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.Equal(b[:n], s.before), nil
}

// drain gives the lines from the offset on, and what is left of the budget. Each read begins with what is known, so that a file that is
// truncated meanwhile, and grows again, gives errTruncated and not the middle of a line.
func (s *stream) drain(budget int64, line func([]byte)) (int64, error) {
	if s.buf == nil {
		s.buf = make([]byte, chunk)
	}
	for budget > 0 {
		known := len(s.before)
		n, err := s.file.ReadAt(s.buf[:min(int64(len(s.buf)), int64(known)+budget)], s.offset-int64(known))
		if err != nil && !errors.Is(err, io.EOF) {
			return budget, err
		}
		if n < known || !bytes.Equal(s.buf[:known], s.before) {
			return budget, errTruncated
		}
		taken, stopped := s.take(s.buf[known:n], line)
		s.offset += int64(taken)
		budget -= int64(taken)
		s.before = append(s.before[:0], s.buf[max(0, known+taken-memory):known+taken]...)
		if stopped {
			return 0, nil
		}
		if err != nil {
			return budget, nil
		}
	}
	return 0, nil
}

// errTruncated says that a file does not hold any more what was read of it.
var errTruncated = errors.New("the file was truncated")

// take cuts what was read into lines, and says how much of it was taken before it was told to stop. A line that is longer than the bound is
// given as far as that, when its end is seen.
func (s *stream) take(raw []byte, line func([]byte)) (taken int, stopped bool) {
	for rest := raw; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte{'\n'})
		rest = after
		if !ended || len(s.partial) > 0 {
			s.partial = append(s.partial, part[:min(len(part), s.most-len(s.partial))]...)
		}
		if !ended {
			break
		}
		if len(s.partial) > 0 {
			line(s.partial)
			s.partial = s.partial[:0]
		} else {
			line(part[:min(len(part), s.most)])
		}
		if s.stop != nil && s.stop() {
			return len(raw) - len(rest), true
		}
	}
	return len(raw), false
}

// end gives a last line that has no newline: it will never get one.
func (s *stream) end(line func([]byte)) {
	if len(s.partial) > 0 {
		line(s.partial)
	}
	s.partial = s.partial[:0]
}
