package runtime

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// recorded gives one recorded reply of each version, by version.
func recorded(t testing.TB, name string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*", name))
	if err != nil || len(paths) < 4 {
		t.Fatalf("%d recordings of %s (%v)", len(paths), name, err)
	}
	replies := map[string]string{}
	for _, path := range paths {
		reply, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		replies[filepath.Base(filepath.Dir(path))] = string(reply)
	}
	return replies
}

// parsers read the recordings that end with an empty line.
var parsers = map[string]func(io.Reader) error{
	"info.txt":  func(r io.Reader) error { _, err := ParseInfo(r); return err },
	"stat.txt":  func(r io.Reader) error { return ParseStat(r, func(*StatRow) error { return nil }) },
	"state.txt": func(r io.Reader) error { return ParseServersState(r, func(*ServerState) error { return nil }) },
	"sess.txt":  func(r io.Reader) error { return ParseSessions(r, func(*Session) error { return nil }) },
	"proc.txt":  func(r io.Reader) error { _, err := ParseProcesses(r); return err },
	"batch.txt": func(r io.Reader) error {
		s := &scratch{lines: *newLines(r, DefaultMaxReply)}
		_, err := s.read([]Query{Stat(func(*StatRow) error { return nil }), ServerStates("", func(*ServerState) error { return nil }), Sessions(func(*Session) error { return nil })})
		return err
	},
}

func TestAReplyCutAtAnyByteIsNoReply(t *testing.T) {
	cases := 0
	for name, parse := range parsers {
		for version, reply := range recorded(t, name) {
			if err := parse(strings.NewReader(reply)); err != nil {
				t.Errorf("%s of %s: %v", name, version, err)
			}
			for n := range len(reply) {
				cases++
				err := parse(strings.NewReader(reply[:n]))
				if !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrNotHAProxy) {
					t.Errorf("%s of %s cut at %d: %v", name, version, n, err)
				}
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("%s of %s cut at %d: not one line: %q", name, version, n, err)
				}
			}
		}
	}
	if cases < 50_000 {
		t.Errorf("only %d cases", cases)
	}
}

// fakeHAProxy replays a recorded conversation up to a number of bytes, then ends the connection as told.
type fakeHAProxy struct {
	greeting, commands string
	cut                atomic.Int64
	hang               atomic.Bool // keep silent and open instead of closing
}

func (f *fakeHAProxy) serve(conn net.Conn) {
	lines := bufio.NewReader(conn)
	left := int(f.cut.Load())
	for _, part := range []string{f.greeting, f.commands} {
		for range 4 {
			if _, err := lines.ReadString('\n'); err != nil {
				return
			}
		}
		n := min(left, len(part))
		if _, err := io.WriteString(conn, part[:n]); err != nil {
			return
		}
		if left -= n; n < len(part) {
			break
		}
	}
	if f.hang.Load() {
		io.Copy(io.Discard, conn)
	}
}

func TestACommandIsNeverDoneBeforeAllAnswersAreThere(t *testing.T) {
	greetings, commands := recorded(t, "greeting.txt"), recorded(t, "commands.txt")
	batch := append(Force("web", "app1"), SetState("web", "nope", Drain))
	for version := range greetings {
		t.Run(version, func(t *testing.T) {
			fake := &fakeHAProxy{greeting: greetings[version], commands: commands[version]}
			client := New(Settings{Address: listen(t, fake.serve)})
			whole := len(fake.greeting) + len(fake.commands)
			for cut := range whole {
				fake.cut.Store(int64(cut))
				report, err := client.Do(t.Context(), Generation{}, batch...)
				if err == nil || strings.Contains(err.Error(), "\n") {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				if report.Sent != (cut >= len(fake.greeting)) {
					t.Fatalf("cut at %d of %d: sent %v (%v)", cut, len(fake.greeting), report.Sent, err)
				}
				for _, r := range report.Results {
					if r.Outcome == Done || r.Outcome == Refused && r.Said != "No such server." {
						t.Fatalf("cut at %d of %d: %+v", cut, whole, r)
					}
				}
			}
			fake.cut.Store(int64(whole))
			report, err := client.Do(t.Context(), Generation{}, batch...)
			if err != nil || report.Results[0].Outcome != Done || report.Results[1].Outcome != Done || report.Results[2].Outcome != Refused {
				t.Errorf("whole: %+v, %v", report.Results, err)
			}
		})
	}
}

func TestAPeerThatFallsSilentIsUnknownInTime(t *testing.T) {
	greetings, commands := recorded(t, "greeting.txt"), recorded(t, "commands.txt")
	for version := range greetings {
		fake := &fakeHAProxy{greeting: greetings[version], commands: commands[version]}
		fake.hang.Store(true)
		client := New(Settings{Address: listen(t, fake.serve), Timeout: 100 * time.Millisecond})
		for name, cut := range map[string]int{"at once": 0, "in the greeting": 50, "behind the greeting": len(fake.greeting), "behind the first answer": len(fake.greeting) + 3,
			"before the last byte": len(fake.greeting) + len(fake.commands) - 1} {
			fake.cut.Store(int64(cut))
			start := time.Now()
			report, err := client.Do(t.Context(), Generation{}, append(Force("web", "app1"), SetState("web", "nope", Drain))...)
			if !errors.Is(err, ErrTimeout) || report.All(Done) || time.Since(start) > 3*time.Second {
				t.Errorf("%s, silent %s: %+v, %v", version, name, report.Results, err)
			}
			for _, r := range report.Results {
				if r.Outcome == Done {
					t.Errorf("%s, silent %s: %+v", version, name, r)
				}
			}
		}
	}
}

func TestACutAnswerIsSettledByReadingBack(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		var cut atomic.Int64
		cut.Store(1 << 30)
		relay := newRelay(t, func(net.Conn) (net.Conn, error) {
			conn, err := net.Dial("unix", f.Socket)
			if err != nil {
				return nil, err
			}
			return &cutConn{Conn: conn, left: int(cut.Swap(1 << 30))}, nil // only the first connection is cut
		})
		client := New(Settings{Address: relay})
		whole := len(f.ask(t, f.Socket, "show info\n"))*2 + 20
		tried, settled := 0, 0
		last := f.server(t, "web", "app3").Weight
		for n := 0; n < whole; n++ {
			if n%7 != 0 && n < whole/2-40 || n%7 != 0 && n > whole/2+40 && n < whole-60 {
				continue
			}
			tried++
			want := 1 + tried%200
			cut.Store(int64(n))
			report, err := client.Apply(t.Context(), Generation{}, SetWeight("web", "app3", Absolute(want)))
			got := f.server(t, "web", "app3").Weight
			switch {
			case !report.Sent && (err == nil || got != last):
				t.Fatalf("cut at %d: not sent, weight %d became %d: %v", n, last, got, err)
			case report.All(Done) && (err != nil || got != want || report.Results[0].Holds != Holds):
				t.Fatalf("cut at %d: done, weight %d instead of %d: %+v, %v", n, got, want, report.Results, err)
			case report.Sent && !report.All(Done) && (err == nil || got == want && report.Results[0].Holds != HoldsNot):
				t.Fatalf("cut at %d: %+v, %v, weight %d", n, report.Results, err, got)
			}
			if report.All(Done) {
				settled++
			}
			last = got
		}
		t.Logf("%d offsets, %d of them settled as done", tried, settled)
		if settled < 20 {
			t.Errorf("only %d of %d were settled as done", settled, tried)
		}
	})
}
