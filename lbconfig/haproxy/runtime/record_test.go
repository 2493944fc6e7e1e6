package runtime

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var record = flag.Bool("record", false, "write testdata/VERSION anew from the real programs")

// TestRecord writes what each version answers, for the tests that cut and replay. It runs only with -record.
func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("only with -record")
	}
	each(t, func(t *testing.T, f *farm) {
		if _, err := http.Get("http://" + f.front + "/"); err != nil {
			t.Fatal(err)
		}
		f.apply(t, SetState("web", "app2", Drain), SetState("web", "spare", Maint))
		go http.Get("http://" + f.front + "/hold")
		eventually(t, "a session", func() bool { return f.row(t, "web", "BACKEND").Sessions == 1 })
		dir := filepath.Join("testdata", f.Program.Version())
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		save := func(name, reply string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(reply), 0o644); err != nil {
				t.Error(err)
			}
		}
		for name, lines := range map[string]string{"info.txt": "show info\n", "stat.txt": "show stat\n", "state.txt": "show servers state\n", "sess.txt": "show sess\n",
			"batch.txt": "set severity-output number;show info;show stat;show servers state;show sess\n"} {
			save(name, f.ask(t, f.Socket, lines))
		}
		conn, err := net.Dial("unix", f.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		talk := &talk{conn: conn, lines: *newLines(conn, DefaultMaxReply)}
		save("greeting.txt", exchange(t, talk, "prompt", "set severity-output number", "set timeout cli 6", "show info"))
		save("commands.txt", exchange(t, talk, "disable health web/app1", "set server web/app1 health down", "set server web/nope state drain", "show info"))
		if err := f.Reload(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "an old worker", func() bool {
			all, err := f.master.Processes(t.Context())
			return err == nil && len(all.Old) == 1
		})
		proc := f.ask(t, f.HAProxy.Master, "show proc\n")
		save("proc.txt", proc)
		all, err := ParseProcesses(strings.NewReader(proc))
		if err != nil {
			t.Fatal(err)
		}
		old := all.Old[0].PID
		save("old.txt", f.ask(t, f.HAProxy.Master, fmt.Sprintf("@!%d show info;@!%d show sess\n", old, old)))
		save("reload.txt", f.ask(t, f.HAProxy.Master, "reload\n"))
	})
}

// exchange sends lines and gives back the raw bytes of as many answers.
func exchange(t *testing.T, k *talk, lines ...string) string {
	t.Helper()
	if err := k.send(lines...); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for range lines {
		answer, err := k.answer()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(answer + prompt)
	}
	return b.String()
}
