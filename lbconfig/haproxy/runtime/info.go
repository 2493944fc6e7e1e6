package runtime

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// Info is what `show info` says of the process that answers.
type Info struct {
	Name        string // "HAProxy", or what the build calls itself
	Version     string // "2.6.12-1+deb12u3"
	Node        string // by default the host's name
	Description string
	PID         int
	ProcessNum  int
	Uptime      time.Duration // whole seconds
	Started     int64         // unix seconds, of the worker's start; 0 on 2.2, which does not say
	Stopping    bool          // an old worker after a reload, or one that was told to stop
	CurrConns   int           // client connections, idle and silent ones too; those to this socket do not count
	MaxConn     int
	Jobs        int // what a stopping worker still waits for
	Listeners   int
	Tasks       int
	RunQueue    int
	IdlePercent int
}

// Generation is one life of one HAProxy worker.
type Generation struct {
	PID     int    `json:"pid"`
	Node    string `json:"node,omitempty"`
	Started int64  `json:"started,omitempty"` // unix seconds; 0 on 2.2
}

// Generation names the process that the info is about.
func (i Info) Generation() Generation {
	return Generation{PID: i.PID, Node: i.Node, Started: i.Started}
}

// IsZero reports whether g names no process.
func (g Generation) IsZero() bool { return g == Generation{} }

// Same reports whether both are the same process. The start decides against a process id that was given out again,
// where both know it.
func (g Generation) Same(other Generation) bool {
	return g.PID == other.PID && g.Node == other.Node && (g.Started == 0 || other.Started == 0 || g.Started == other.Started)
}

func (g Generation) String() string { return fmt.Sprintf("pid %d on %s", g.PID, g.Node) }

var infoFields = map[string]func(i *Info, value []byte) bool{
	"Name":        func(i *Info, v []byte) bool { i.Name = string(v); return true },
	"Version":     func(i *Info, v []byte) bool { i.Version = string(v); return true },
	"node":        func(i *Info, v []byte) bool { i.Node = string(v); return true },
	"description": func(i *Info, v []byte) bool { i.Description = string(v); return true },
	"Pid":         func(i *Info, v []byte) bool { return whole(&i.PID, v) },
	"Process_num": func(i *Info, v []byte) bool { return whole(&i.ProcessNum, v) },
	"CurrConns":   func(i *Info, v []byte) bool { return whole(&i.CurrConns, v) },
	"Maxconn":     func(i *Info, v []byte) bool { return whole(&i.MaxConn, v) },
	"Jobs":        func(i *Info, v []byte) bool { return whole(&i.Jobs, v) },
	"Listeners":   func(i *Info, v []byte) bool { return whole(&i.Listeners, v) },
	"Tasks":       func(i *Info, v []byte) bool { return whole(&i.Tasks, v) },
	"Run_queue":   func(i *Info, v []byte) bool { return whole(&i.RunQueue, v) },
	"Idle_pct":    func(i *Info, v []byte) bool { return whole(&i.IdlePercent, v) },
	"Stopping":    func(i *Info, v []byte) bool { n, ok := parseInt(v); i.Stopping = n != 0; return ok && len(v) > 0 },
	"Uptime_sec": func(i *Info, v []byte) bool {
		n, ok := parseInt(v)
		i.Uptime = time.Duration(n) * time.Second
		return ok
	},
	"Start_time_sec": func(i *Info, v []byte) bool { n, ok := parseInt(v); i.Started = n; return ok },
}

func whole(to *int, value []byte) bool {
	n, ok := parseInt(value)
	*to = int(n)
	return ok && len(value) > 0
}

// infoReader gathers one `show info`.
type infoReader struct {
	info  Info
	seen  map[string]bool
	lines int
}

func (r *infoReader) line(line []byte) error {
	key, value, ok := bytes.Cut(line, []byte(": "))
	if !ok {
		key, ok = bytes.CutSuffix(line, []byte(":")) // an empty description
	}
	if !ok {
		return newFault(ErrNotHAProxy, nil, "expected `Name: value` of `show info`, got %s: is this the socket of a HAProxy?", quote(line))
	}
	if r.lines++; r.lines > 1000 {
		return newFault(ErrNotHAProxy, nil, "`show info` has more than 1000 lines")
	}
	set, known := infoFields[string(key)]
	if !known {
		return nil
	}
	if !set(&r.info, value) {
		return newFault(ErrNotHAProxy, nil, "`show info` gives %s as its %s", quote(value), key)
	}
	if r.seen == nil {
		r.seen = make(map[string]bool, len(infoFields))
	}
	r.seen[string(key)] = true
	return nil
}

// end checks that all that decides anything was there: without it the answer is not HAProxy's, or not a whole one.
func (r *infoReader) end() (Info, error) {
	for _, key := range []string{"Version", "Pid", "Stopping"} {
		if !r.seen[key] {
			return Info{}, newFault(ErrNotHAProxy, nil, "`show info` says nothing of its %s: is this the socket of a HAProxy?", key)
		}
	}
	if r.info.PID <= 0 {
		return Info{}, newFault(ErrNotHAProxy, nil, "`show info` gives %d as its Pid", r.info.PID)
	}
	return r.info, nil
}

// ParseInfo reads one `show info` with the empty line that ends it.
func ParseInfo(r io.Reader) (Info, error) {
	return readInfo(newLines(r, DefaultMaxReply))
}

func readInfo(l *lines) (Info, error) {
	var r infoReader
	for {
		line, err := l.next()
		if err == io.EOF {
			return Info{}, newFault(ErrTruncated, nil, "`show info` ends after %d bytes without its empty line", l.total)
		}
		if err != nil {
			return Info{}, err
		}
		if len(line) == 0 {
			return r.end()
		}
		if words, isError := errorLine(line); isError {
			return Info{}, said(words)
		}
		if err := r.line(line); err != nil {
			return Info{}, err
		}
	}
}
