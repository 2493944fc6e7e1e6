package journal

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// version is the format that is written. A file of a newer one is refused; an older one, once there is one, is read.
const version = 1

// header is the first line of a file: "lbmedic-WHAT VERSION CRC". It keeps this shape in every version, so that an old
// program can tell a newer file from a damaged one.
func header(what string) []byte {
	return headerOf("lbmedic-" + what + " " + strconv.Itoa(version))
}

func headerOf(text string) []byte {
	return fmt.Appendf(nil, "%s %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// A NewerError says that a file was written by a newer lbmedic. Nothing was read or changed.
type NewerError struct {
	File    string // journal or checkpoint
	Version int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the %s has format %d and this lbmedic reads up to %d: install the newer lbmedic again", e.File, e.Version, version)
}

var (
	errHeader = errors.New("the first line is no header of ours")
	errTorn   = errors.New("the last line has no end")
	errLong   = fmt.Errorf("a line is longer than %d bytes", MaxRecord)
)

// parseHeader checks a first line without its newline.
func parseHeader(line []byte, what string) error {
	text, sum, ok := cutLast(string(line), " ")
	if !ok || sum != fmt.Sprintf("%08x", crc32.Checksum([]byte(text), castagnoli)) {
		return errHeader
	}
	number, ok := strings.CutPrefix(text, "lbmedic-"+what+" ")
	v, err := strconv.Atoi(number)
	if !ok || err != nil || v < 1 {
		return errHeader
	}
	if v > version {
		return &NewerError{File: what, Version: v}
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// mark is where a good record begins.
type mark struct {
	seq    uint64
	offset int64
}

// scanned is what a journal's bytes hold: a good prefix, and perhaps a rest that is refused whole.
type scanned struct {
	marks   []mark
	records []Record // of the good prefix, those behind base
	last    uint64   // newest number of the good prefix, 0 if it holds none
	good    int64    // length of the good prefix
	size    int64    // length of everything
	refused error    // why the rest is refused; nil if there is none
	torn    bool     // the rest is one line without its end: a write that was never acknowledged
	floor   uint64   // no new number may be at or below it
	hole    bool     // records between the checkpoint and the first record are missing
}

// scan reads a journal. base is the number up to which a checkpoint holds the state, 0 without one. Behind base every
// record must name the one before it; up to base, where records are only history, some may be missing.
func scan(r io.Reader, base uint64) (scanned, error) {
	in := bufio.NewReaderSize(r, MaxRecord)
	s := scanned{floor: base}
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			s.size = s.good
			return s, nil
		case errors.Is(err, io.EOF):
			err = errTorn
		case errors.Is(err, bufio.ErrBufferFull):
			err = errLong
		case err != nil:
			return s, err
		case s.good == 0:
			err = parseHeader(line[:len(line)-1], "journal")
		default:
			err = s.take(line[:len(line)-1], base)
		}
		var newer *NewerError
		if errors.As(err, &newer) {
			return s, err
		}
		if err != nil {
			s.refused = err
			s.torn = errors.Is(err, errTorn) && s.good > 0 && !endChanged(line)
			return s, s.pass(in, line)
		}
		s.good += int64(len(line))
	}
}

// endChanged reports whether a line without its end is a whole record whose newline has become something else: that one
// may have been acknowledged.
func endChanged(line []byte) bool {
	_, _, _, err := parseLine(line[:len(line)-1])
	return err == nil
}

// take accepts one line without its newline, or says why not.
func (s *scanned) take(line []byte, base uint64) error {
	seq, prev, text, err := parseLine(line)
	if err != nil {
		return err
	}
	first := len(s.marks) == 0
	if seq <= prev || prev < s.last || (!first || base > 0) && prev > max(base, s.last) {
		return fmt.Errorf("record %d follows %d, but the newest before it is %d", seq, prev, max(base, s.last))
	}
	rec, err := decodeRecord(seq, text)
	if err != nil {
		return err
	}
	s.hole = s.hole || first && base == 0 && prev > 0
	s.marks = append(s.marks, mark{seq, s.good})
	s.last, s.floor = seq, max(s.floor, seq)
	if seq > base {
		s.records = append(s.records, rec)
	}
	return nil
}

// pass goes over everything from the bad line on. Nothing of it is used but how high its numbers may have been, so that
// none of them is given out again.
func (s *scanned) pass(in *bufio.Reader, line []byte) error {
	s.size = s.good
	for {
		s.size += int64(len(line))
		if seq, _, _, err := parseLine(trimNewline(line)); err == nil {
			s.floor = max(s.floor, seq)
		}
		var err error
		line, err = in.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			s.floor += uint64(s.size-s.good)/minLine + 1
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func trimNewline(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		return line[:n-1]
	}
	return line
}
