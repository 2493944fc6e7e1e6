package runtime

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// saysConn answers whatever is written with the same bytes, then ends.
type saysConn struct {
	io.Reader
	written bytes.Buffer
}

func (c *saysConn) Write(p []byte) (int, error)      { return c.written.Write(p) }
func (c *saysConn) Close() error                     { return nil }
func (c *saysConn) LocalAddr() net.Addr              { return nil }
func (c *saysConn) RemoteAddr() net.Addr             { return nil }
func (c *saysConn) SetDeadline(time.Time) error      { return nil }
func (c *saysConn) SetReadDeadline(time.Time) error  { return nil }
func (c *saysConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzConversation plays any bytes as HAProxy's side: a command is Done only where it was sent, its own answer was
// empty, and the same process answered before and behind it and was not stopping.
func FuzzConversation(f *testing.F) {
	commands := recorded(f, "commands.txt")
	for version, greeting := range recorded(f, "greeting.txt") {
		f.Add([]byte(greeting), []byte(commands[version]))
		f.Add([]byte(greeting), []byte(strings.Replace(commands[version], "Stopping: 0", "Stopping: 1", 1)))
		f.Add([]byte(greeting), []byte(strings.Replace(commands[version], "Pid: ", "Pid: 9", 1)))
		f.Add([]byte(strings.Replace(greeting, "Stopping: 0", "Stopping: 1", 1)), []byte(commands[version]))
		f.Add([]byte(greeting), []byte("\n> \n> "+commands[version]))
	}
	batch := append(Force("web", "app1"), SetState("web", "nope", Drain))
	f.Fuzz(func(t *testing.T, greeting, answers []byte) {
		conn := &saysConn{Reader: io.MultiReader(bytes.NewReader(greeting), bytes.NewReader(answers))}
		k := &talk{conn: conn, lines: *newLines(conn, DefaultMaxReply)}
		before, err := k.greet("prompt", "set severity-output number", "set timeout cli 6", "show info")
		if err != nil {
			return
		}
		if before.PID <= 0 || before.Version == "" {
			t.Errorf("greeted by %+v", before)
		}
		requests, err := encodeAll(batch)
		if err != nil {
			t.Fatal(err)
		}
		report := Report{Before: before, Sent: true, Results: make([]Result, len(batch))}
		err = k.run(&report, append(requests, "show info"))
		for i, r := range report.Results {
			if r.Outcome != Done && r.Err == nil || r.Outcome == Done && r.Said != "" {
				t.Errorf("result %d: %+v", i, r)
			}
			if r.Outcome == Done && (err != nil && report.After.PID == 0 || report.After.Stopping || report.After.PID != before.PID) {
				t.Errorf("result %d is done although %v, %+v", i, err, report)
			}
		}
	})
}
