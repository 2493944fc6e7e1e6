package journal

import (
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	keepAside = 8        // files NAME.bad-N kept
	maxAside  = 64 << 20 // bytes of damage kept in one of them
)

// aside keeps damaged bytes as NAME.bad-N for whoever wants to know, and removes the oldest of them beyond keepAside.
func (s store) aside(name string, data []byte) (string, error) {
	old, err := s.numbers(name + ".bad-")
	if err != nil {
		return "", err
	}
	next := 1
	if len(old) > 0 {
		next = old[len(old)-1] + 1
	}
	for len(old) >= keepAside {
		if err := os.Remove(s.path(name + ".bad-" + strconv.Itoa(old[0]))); err != nil {
			return "", err
		}
		old = old[1:]
	}
	bad := name + ".bad-" + strconv.Itoa(next)
	return bad, s.put(bad, data)
}

func (s store) numbers(prefix string) ([]int, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), prefix)
		if n, err := strconv.Atoi(number); ok && err == nil && n > 0 && strconv.Itoa(n) == number {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// incomplete is the file that says, until the next checkpoint, that records are missing.
const incomplete = "incomplete"

// repair marks that records are missing, keeps the damage aside and cuts it off, in that order: a crash in between finds
// the same damage again, and one behind it finds the mark.
func (j *Journal) repair(l *loaded) error {
	if l.Incomplete && !l.marked {
		if err := j.store.put(incomplete, nil); err != nil {
			return err
		}
	}
	j.incomplete = l.Incomplete
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
