package runtime

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// Admin are the admin flags of a server: who took it out, and how. HAProxy prints them in decimal.
type Admin uint16

// The admin flags.
const (
	ForcedMaint    Admin = 1  // `set server … state maint`
	InheritedMaint Admin = 2  // the server it tracks is in maintenance
	ConfigMaint    Admin = 4  // `disabled` in the config; stays set when the operator makes it ready
	ForcedDrain    Admin = 8  // `set server … state drain`
	InheritedDrain Admin = 16 // the server it tracks is drained
	ResolveMaint   Admin = 32 // its name does not resolve
	NameChanged    Admin = 64 // its name was changed on the socket
)

var adminNames = []string{"forced-maint", "inherited-maint", "config-maint", "forced-drain", "inherited-drain", "resolve-maint", "name-changed"}

// Has reports whether any of the flags is set.
func (a Admin) Has(flags Admin) bool { return a&flags != 0 }

// Maint reports whether the server is in maintenance, for whatever reason.
func (a Admin) Maint() bool { return a.Has(ForcedMaint | InheritedMaint | ResolveMaint) }

// Drain reports whether the server is drained, for whatever reason.
func (a Admin) Drain() bool { return a.Has(ForcedDrain | InheritedDrain) }

func (a Admin) String() string {
	var set []string
	for i, name := range adminNames {
		if a.Has(1 << i) {
			set = append(set, name)
		}
	}
	if set == nil {
		return "none"
	}
	return strings.Join(set, "+")
}

// Op is a server's operational state.
type Op uint8

// The operational states, as HAProxy numbers them.
const (
	OpStopped  Op = iota // down
	OpStarting           // in slowstart
	OpRunning
	OpStopping // takes persistent sessions only (`disable-on-404`, `health stopping`)
)

var opNames = [...]string{"stopped", "starting", "running", "stopping"}

func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "unknown"
}

// Check are the flags of a health or agent check.
type Check uint16

// The flags of a check.
const (
	CheckRunning    Check = 1 // a check is under way
	CheckConfigured Check = 2
	CheckEnabled    Check = 4 // cleared by `disable health`
	CheckPaused     Check = 8 // in maintenance
	CheckIsAgent    Check = 16
)

// Has reports whether any of the flags is set.
func (c Check) Has(flags Check) bool { return c&flags != 0 }

// ServerState is one row of `show servers state`.
type ServerState struct {
	Backend, Server     string
	BackendID, ServerID int64
	BackendIDForced     bool // `id` in the config
	ServerIDForced      bool
	Op                  Op
	Admin               Admin
	Weight              int           // the weight that was set; slowstart does not show in it
	InitialWeight       int           // the config's
	SinceChange         time.Duration // whole seconds
	CheckStatus         int           // HAProxy's number of the last check's outcome
	CheckResult         int           // 0 unknown, 1 neutral, 2 failed, 3 passed, 4 conditionally passed
	CheckHealth         int           // from 0 to rise+fall-1
	Check, Agent        Check
	Addr                string // "10.0.0.1"; "-" where there is none
	Port                int
	FQDN, SRVRecord     string // empty where there is none
	TLS                 bool   // from 2.4; false on 2.2
	CheckPort           int    // 0: the server's own; from 2.4
	CheckAddr           string // empty: the server's own; from 2.4
	AgentAddr           string // from 2.4
	AgentPort           int    // from 2.4
}

// ServerStates asks `show servers state`, of one backend or (with an empty name) of all. As with Stat the row is reused.
func ServerStates(backend string, each func(*ServerState) error) Query {
	return Query{Command{Verb: ShowServersState, Backend: backend}, func(s *scratch) error { return readState(&s.lines, &s.names, each) }}
}

// ParseServersState reads the reply of `show servers state`, its final empty line included.
func ParseServersState(r io.Reader, each func(*ServerState) error) error {
	return readState(newLines(r, DefaultMaxReply), &interner{}, each)
}

func readState(l *lines, names *interner, each func(*ServerState) error) error {
	version, err := first(l, "show servers state")
	if err != nil {
		return err
	}
	if string(version) != "1" {
		return newFault(ErrNotHAProxy, nil, "expected `show servers state` of format 1, got %s", quote(version))
	}
	header, err := first(l, "show servers state")
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(header, []byte("# be_id be_name ")) {
		return newFault(ErrNotHAProxy, nil, "expected the header of `show servers state`, got %s", quote(header))
	}
	columns := stateHeader(header[2:])
	var row ServerState
	for {
		line, err := l.next()
		switch {
		case err == io.EOF:
			return newFault(ErrTruncated, nil, "`show servers state` ends after %d bytes without its empty line", l.total)
		case err != nil:
			return err
		case len(line) == 0:
			return nil
		}
		row = ServerState{}
		if err := row.fill(line, columns, names); err != nil {
			return err
		}
		if row.internal() {
			continue
		}
		if err := each(&row); err != nil {
			return err
		}
	}
}

// internal recognises the rows of the pipes between master and worker, which 2.2 shows as servers of a backend MASTER.
func (s *ServerState) internal() bool {
	return s.Backend == "MASTER" && s.Addr == "-" && s.InitialWeight == 0 &&
		(strings.HasPrefix(s.Server, "cur-") || strings.HasPrefix(s.Server, "old-"))
}

func (s *ServerState) fill(line []byte, columns []*stateColumn, names *interner) error {
	rest, more := line, true
	for i, column := range columns {
		if !more {
			return newFault(ErrNotHAProxy, nil, "a row of `show servers state` has %d fields where %d were expected: %s", i, len(columns), quote(line))
		}
		var field []byte
		field, rest, more = bytes.Cut(rest, []byte{' '})
		if column != nil && !column.set(s, field, names) {
			return newFault(ErrNotHAProxy, nil, "`show servers state` gives %s as %s of %s", quote(field), column.name, quote([]byte(s.Backend+"/"+s.Server)))
		}
	}
	return nil
}
