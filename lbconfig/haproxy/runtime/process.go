package runtime

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"
)

// Process is one line of `show proc`: a process under a HAProxy master.
type Process struct {
	PID     int
	Type    string        // "master", "worker", or a program's name
	Reloads int           // of the master: reloads so far; of a worker: reloads it has outlived
	Failed  int           // of the master: reloads that failed in a row; -1 where the version (2.2) does not say
	Uptime  time.Duration // whole seconds
	Version string        // as the process was started; after an upgrade that of an old worker differs
}

// Processes is all of `show proc`.
type Processes struct {
	Master   Process
	Workers  []Process // current; one, but where nbproc (2.2) asks for more
	Old      []Process // workers of former configs that still have connections
	Programs []Process
}

// ParseProcesses reads the reply of `show proc`, its final empty line included. Columns are found by their name in the
// header: 2.2 has one more, and all versions pad them with blanks.
func ParseProcesses(r io.Reader) (Processes, error) {
	return readProcesses(newLines(r, DefaultMaxReply))
}

func readProcesses(l *lines) (Processes, error) {
	header, err := first(l, "show proc")
	if err != nil {
		return Processes{}, err
	}
	columns, ok := processHeader(header)
	if !ok {
		return Processes{}, newFault(ErrNotHAProxy, nil, "expected the header of `show proc`, got %s: is this HAProxy's master socket (option -S)?", quote(header))
	}
	var all Processes
	section := "master"
	for rows := 0; ; rows++ {
		line, err := l.next()
		switch {
		case err == io.EOF:
			return Processes{}, newFault(ErrTruncated, nil, "`show proc` ends after %d bytes without its empty line", l.total)
		case err != nil:
			return Processes{}, err
		case len(line) == 0 && all.Master.PID == 0:
			return Processes{}, newFault(ErrNotHAProxy, nil, "`show proc` names no master")
		case len(line) == 0:
			return all, nil
		case rows > 100_000:
			return Processes{}, newFault(ErrNotHAProxy, nil, "`show proc` has more than 100000 lines")
		}
		if name, isSection := bytes.CutPrefix(line, []byte("# ")); isSection {
			section = string(name)
			continue
		}
		p, ok := parseProcess(line, columns)
		if !ok || !all.add(section, p) {
			return Processes{}, newFault(ErrNotHAProxy, nil, "a line of `show proc` under %q reads %s", section, quote(line))
		}
	}
}

func (all *Processes) add(section string, p Process) bool {
	switch {
	case p.Type == "master":
		all.Master = p
	case section == "workers":
		all.Workers = append(all.Workers, p)
	case section == "old workers":
		all.Old = append(all.Old, p)
	case strings.HasSuffix(section, "programs"):
		all.Programs = append(all.Programs, p)
	default:
		return false
	}
	return true
}

func processHeader(header []byte) (columns []string, ok bool) {
	for _, part := range strings.Split(strings.TrimPrefix(string(header), "#"), "<")[1:] {
		name, _, closed := strings.Cut(part, ">")
		if !closed {
			return nil, false
		}
		columns = append(columns, name)
	}
	return columns, len(columns) > 3 && columns[0] == "PID"
}

// parseProcess reads fields that are one word each, or a word and a bracket: "1 [failed: 0]", "[was: 1]".
func parseProcess(line []byte, columns []string) (Process, bool) {
	p := Process{Failed: -1}
	rest := strings.TrimSpace(string(line))
	for _, column := range columns {
		field, note, after, ok := cutField(rest, column == "reloads")
		if !ok {
			return p, false
		}
		rest = after
		var err error
		switch column {
		case "PID":
			p.PID, err = strconv.Atoi(field)
		case "type":
			p.Type = field
		case "reloads":
			p.Reloads, err = strconv.Atoi(field)
			if n, isFailed := strings.CutPrefix(note, "failed: "); isFailed && err == nil {
				p.Failed, err = strconv.Atoi(n)
			}
		case "uptime":
			p.Uptime, ok = parseAge(field)
		case "version":
			p.Version = field
		}
		if err != nil || !ok {
			return p, false
		}
	}
	return p, p.PID > 0 && p.Type != ""
}

// cutField takes one field off a row: a word, or a whole bracket; noted says that a bracket may follow the word.
func cutField(rest string, noted bool) (field, note, after string, ok bool) {
	if rest == "" {
		return "", "", "", false
	}
	if rest[0] == '[' {
		field, rest, ok = strings.Cut(rest, "]")
		return field, "", strings.TrimLeft(rest, " "), ok
	}
	field, rest, _ = strings.Cut(rest, " ")
	rest = strings.TrimLeft(rest, " ")
	if noted && strings.HasPrefix(rest, "[") {
		if note, rest, ok = strings.Cut(rest[1:], "]"); !ok {
			return "", "", "", false
		}
		rest = strings.TrimLeft(rest, " ")
	}
	return field, note, rest, true
}
