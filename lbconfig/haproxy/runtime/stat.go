package runtime

import (
	"bytes"
	"io"
	"time"
)

// RowType says what a row of `show stat` is about.
type RowType uint8

// The types of rows, as HAProxy numbers them.
const (
	Frontend RowType = iota
	Backend
	Server
	Listener
)

// StatRow is one row of `show stat`. An empty number is 0. Sessions counts streams, as HAProxy does.
type StatRow struct {
	Proxy, Server string // "web", "app1"; Server is FRONTEND or BACKEND in the rows of proxies
	Type          RowType
	Status        Status
	Weight        int64 // effective; of a backend the sum over its active servers
	UserWeight    int64 // the weight that was set; 0 on 2.2, which does not say
	Active        int64 // of a server 1 or 0, of a backend how many are up
	Backup        int64

	Queue, QueueMax, QueueLimit           int64
	Sessions, SessionsMax, SessionsLimit  int64 // limit 0: none
	SessionsTotal, Chosen                 int64 // Chosen: times picked by the balancing algorithm
	BytesIn, BytesOut                     int64
	RequestErrors                         int64 // ereq
	ConnectErrors, ResponseErrors         int64 // econ, eresp
	Retries, Redispatches                 int64 // wretr, wredis
	ClientAborts, ServerAborts            int64
	InternalErrors                        int64 // eint
	Rate, RateMax                         int64 // sessions in the last second
	Requests, RequestRate, RequestRateMax int64
	HTTP1xx, HTTP2xx, HTTP3xx             int64
	HTTP4xx, HTTP5xx, HTTPOther           int64
	QueueMs, ConnectMs, ResponseMs        int64 // means over the last 1024 requests
	TotalMs                               int64
	IdleConns, UsedConns                  int64 // srv_icur, used_conn_cur

	LastChange, Downtime time.Duration // whole seconds
	LastSession          int64         // seconds since the last session; -1: none yet
	Throttle             int64         // percent of slowstart; 0: none under way
	ProxyID, ServerID    int64
	Tracked              string // "web/app1"

	CheckRunning           bool   // a check is under way; CheckStatus is the one before
	CheckStatus, CheckDesc string // "L7OK", "Layer7 check passed"; empty without a check
	CheckCode, CheckMs     int64
	LastCheck              string // what the last check said, in the server's own words
	CheckRise, CheckFall   int64
	CheckHealth            int64
	ChecksFailed           int64 // while up
	ChecksDown             int64 // changes from up to down

	AgentStatus, AgentDesc string
	LastAgent              string
	AgentCode, AgentMs     int64

	Addr, Cookie, Mode, Algo string // Addr is hidden from sockets below operator level
}

// HasCheck reports whether the row has a health check.
func (r *StatRow) HasCheck() bool { return r.CheckStatus != "" }

// HasAgent reports whether the row has an agent check.
func (r *StatRow) HasAgent() bool { return r.AgentStatus != "" }

// Stat asks `show stat` and hands over its rows while HAProxy writes them. The row is reused: copy what is to be kept;
// its strings may be kept. After an error what was handed over is not the whole, and must not be acted on.
func Stat(each func(*StatRow) error) Query {
	return Query{Command{Verb: ShowStat}, func(s *scratch) error { return readStat(&s.lines, &s.names, each) }}
}

// ParseStat reads the reply of `show stat`, its final empty line included.
func ParseStat(r io.Reader, each func(*StatRow) error) error {
	return readStat(newLines(r, DefaultMaxReply), &interner{}, each)
}

func readStat(l *lines, names *interner, each func(*StatRow) error) error {
	header, err := first(l, "show stat")
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(header, []byte("# pxname,svname,")) {
		return newFault(ErrNotHAProxy, nil, "expected the header of `show stat`, got %s", quote(header))
	}
	columns := statHeader(header[2:])
	var row StatRow
	for {
		line, err := l.record()
		switch {
		case err == io.EOF:
			return newFault(ErrTruncated, nil, "`show stat` ends after %d bytes without its empty line", l.total)
		case err != nil:
			return err
		case len(line) == 0:
			return nil
		}
		row = StatRow{}
		if err := row.fill(line, columns, names); err != nil {
			return err
		}
		if err := each(&row); err != nil {
			return err
		}
	}
}

// first is the first line of a reply, unless it is an error in HAProxy's words.
func first(l *lines, what string) ([]byte, error) {
	line, err := l.next()
	if err == io.EOF {
		return nil, newFault(ErrTruncated, nil, "no answer to `%s`", what)
	}
	if err != nil {
		return nil, err
	}
	if words, isError := errorLine(line); isError {
		return nil, said(words)
	}
	return line, nil
}

// fill reads one line. Fields past the last one that has a name of ours are passed over. Most fields of most rows are
// empty or 0, so those are passed first: a row of zeroes has them already.
func (r *StatRow) fill(line []byte, columns []*statColumn, names *interner) error {
	at := 0
	for i, column := range columns {
		if at >= len(line) {
			return newFault(ErrNotHAProxy, nil, "a row of `show stat` has %d fields where %d were expected: %s", i, len(columns), quote(line))
		}
		switch {
		case line[at] == ',':
			at++
			continue
		case line[at] == '0' && at+1 < len(line) && line[at+1] == ',' && (column == nil || column.number):
			at += 2
			continue
		}
		var field []byte
		if line[at] == '"' {
			rest, ok := line[at:], false
			if field, rest, ok = unquote(rest); !ok {
				return newFault(ErrNotHAProxy, nil, "a quoted field of `show stat` does not end: %s", quote(line))
			}
			at = len(line) - len(rest)
		} else {
			end := at // fields are short: a plain loop finds their end sooner than bytes.IndexByte
			for end < len(line) && line[end] != ',' {
				end++
			}
			field = line[at:end]
			at = end + 1
		}
		if column != nil && len(field) > 0 && !column.set(r, field, names) {
			return newFault(ErrNotHAProxy, nil, "`show stat` gives %s as %s of %s", quote(field), column.name, quote([]byte(r.Proxy+"/"+r.Server)))
		}
	}
	return nil
}

// unquote takes one field in double quotes off a line. A doubled quote inside stands for one; they are so rare that
// only then the field is copied.
func unquote(line []byte) (field, rest []byte, ok bool) {
	var copied []byte
	at := 1
	for {
		end := bytes.IndexByte(line[at:], '"')
		if end < 0 {
			return nil, nil, false
		}
		end += at
		part := line[at:end]
		if end+1 < len(line) && line[end+1] == '"' {
			copied = append(append(copied, part...), '"')
			at = end + 2
			continue
		}
		if copied != nil {
			part = append(copied, part...)
		}
		rest = line[end+1:]
		if len(rest) > 0 && rest[0] != ',' {
			return nil, nil, false
		}
		return part, bytes.TrimPrefix(rest, []byte{','}), true
	}
}
