package runtime

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// fuzzParser feeds any bytes to a parser, whole and one byte at a time: it must not crash, must say the same both
// times, and its errors must be one short line.
func fuzzParser(f *testing.F, recording string, parse func(io.Reader) (string, error)) {
	for _, reply := range recorded(f, recording) {
		f.Add([]byte(reply))
		f.Add([]byte(reply[:len(reply)/2]))
	}
	for _, seed := range []string{"", "\n", "\n\n", "[3]: Permission denied\n\n", "[6]: Unknown command: 'x'\n  help\n\n", "HTTP/1.0 400 Bad request\r\n\r\n", "1\n# be_id be_name \n\n",
		"# pxname,svname,\n\"a\"\"b\nc\",d,\n\n", "# pxname,svname,scur,\na,b,x,\n\n", "# pxname,svname,\n\"", "Success=1\n--\n\x1b[2J\n", "#<PID> <type> <reloads> <uptime> <version>\n[x\n\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		got, err := parse(bytes.NewReader(reply))
		slow, slowErr := parse(iotest.OneByteReader(bytes.NewReader(reply)))
		if got != slow || (err == nil) != (slowErr == nil) {
			t.Errorf("whole: %q, %v; byte by byte: %q, %v", got, err, slow, slowErr)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\n\r\x1b\x00") || len(err.Error()) > 1000) {
			t.Errorf("%q", err)
		}
	})
}

func FuzzParseInfo(f *testing.F) {
	fuzzParser(f, "info.txt", func(r io.Reader) (string, error) {
		info, err := ParseInfo(r)
		return sprint(info), err
	})
}

func FuzzParseStat(f *testing.F) {
	fuzzParser(f, "stat.txt", func(r io.Reader) (string, error) {
		var b strings.Builder
		err := ParseStat(r, func(row *StatRow) error {
			b.WriteString(sprint(*row))
			return nil
		})
		return b.String(), err
	})
}

func FuzzParseServersState(f *testing.F) {
	fuzzParser(f, "state.txt", func(r io.Reader) (string, error) {
		var b strings.Builder
		err := ParseServersState(r, func(row *ServerState) error {
			b.WriteString(sprint(*row))
			return nil
		})
		return b.String(), err
	})
}

func FuzzParseSessions(f *testing.F) {
	fuzzParser(f, "sess.txt", func(r io.Reader) (string, error) {
		var b strings.Builder
		err := ParseSessions(r, func(row *Session) error {
			b.WriteString(sprint(*row))
			return nil
		})
		return b.String(), err
	})
}

func FuzzParseProcesses(f *testing.F) {
	fuzzParser(f, "proc.txt", func(r io.Reader) (string, error) {
		all, err := ParseProcesses(r)
		return sprint(all), err
	})
}

func FuzzParseReload(f *testing.F) {
	fuzzParser(f, "reload.txt", func(r io.Reader) (string, error) {
		result, err := ParseReload(r)
		if err == nil && result.Success && !result.Answered {
			return "", io.ErrUnexpectedEOF
		}
		return sprint(result), err
	})
}

func FuzzParseStatus(f *testing.F) {
	for _, seed := range []string{"UP", "UP 1/3", "DOWN (agent)", "DRAIN (agent)", "MAINT (via web/app1)", "MAINT (resolution)", "no check", "NOLB 2/3", "(", "UP 1/", "UP -1/2", "UP (via "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		s := ParseStatus(raw)
		if s.Raw != raw || s.Step < 0 || s.Of < 0 || s.Word > StatusWaiting {
			t.Errorf("%+v", s)
		}
	})
}
