package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// MaxRecord bounds one line of the journal, in bytes, its checksum and newline included.
const MaxRecord = 64 << 10

const (
	maxSeq  = 1 << 53 // what JSON's readers can count to: 9,000 years at 30,000 records a second
	minLine = 40      // no line of a record is shorter, in bytes
)

// Record is one thing that was about to happen or has happened. The journal knows its number and nothing of its meaning.
type Record struct {
	Seq  uint64          `json:"seq"`  // grows from record to record; a jump means that refused numbers were passed over
	At   time.Time       `json:"at"`   // wall clock, UTC, for people: never compare it
	Kind string          `json:"kind"` // 1 to 64 of a-z 0-9 . _ -
	Body json.RawMessage `json:"body"`
}

// content is what of a record goes into the JSON part of its line.
type content struct {
	At   time.Time       `json:"at"`
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendLine adds "CRC SEQ PREV TEXT\n" to dst. PREV is the number that was the newest when SEQ was written, so that a
// missing line is noticed and not only a changed one. The checksum covers what follows it, without the newline.
func appendLine(dst []byte, seq, prev uint64, text []byte) []byte {
	start := len(dst)
	dst = append(dst, "00000000 "...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, prev, 10)
	dst = append(dst, ' ')
	dst = append(dst, text...)
	sum := fmt.Sprintf("%08x", crc32.Checksum(dst[start+9:], castagnoli))
	copy(dst[start:], sum)
	return append(dst, '\n')
}

// appendRecord adds the line of a record whose predecessor is prev.
func appendRecord(dst []byte, r Record, prev uint64) ([]byte, error) {
	if r.Seq > maxSeq {
		return nil, fmt.Errorf("record %d is beyond the last number there is: move the state directory away", r.Seq)
	}
	text, err := json.Marshal(content{r.At, r.Kind, r.Body})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Kind, err)
	}
	start := len(dst)
	dst = appendLine(dst, r.Seq, prev, text)
	if n := len(dst) - start; n > MaxRecord {
		return nil, fmt.Errorf("the %s record has %d bytes, more than %d", r.Kind, n, MaxRecord)
	}
	return dst, nil
}

var (
	errShape    = errors.New("the line has not the shape of a record")
	errChecksum = errors.New("the checksum does not match")
)

// parseLine takes apart a line without its newline.
func parseLine(line []byte) (seq, prev uint64, text []byte, err error) {
	sum, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || len(sum) != 8 {
		return 0, 0, nil, errShape
	}
	if want := fmt.Sprintf("%08x", crc32.Checksum(rest, castagnoli)); want != string(sum) {
		return 0, 0, nil, errChecksum
	}
	fields := bytes.SplitN(rest, []byte{' '}, 3)
	if len(fields) != 3 {
		return 0, 0, nil, errShape
	}
	seq, err = strconv.ParseUint(string(fields[0]), 10, 64)
	if err == nil {
		prev, err = strconv.ParseUint(string(fields[1]), 10, 64)
	}
	if err != nil || seq > maxSeq {
		return 0, 0, nil, errShape
	}
	return seq, prev, fields[2], nil
}

func decodeRecord(seq uint64, text []byte) (Record, error) {
	var c content
	if err := json.Unmarshal(text, &c); err != nil {
		return Record{}, fmt.Errorf("record %d: %w", seq, err)
	}
	return Record{Seq: seq, At: c.At, Kind: c.Kind, Body: c.Body}, nil
}

func checkKind(kind string) error {
	if len(kind) == 0 || len(kind) > 64 {
		return fmt.Errorf("kind %.70q has %d bytes, want 1 to 64", kind, len(kind))
	}
	for _, c := range []byte(kind) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf("kind %q holds more than a-z 0-9 . _ -", kind)
		}
	}
	return nil
}
