package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// closureOf loads made-up files whose main file is /n.
func closureOf(files memory) *Closure { return Load("/", "n", files) }

// edited is the only file that SetDown changes, after the change; empty where it changes none.
func edited(t interface{ Fatalf(string, ...any) }, c *Closure, upstream, server string, down bool) string {
	edits, err := SetDown(c, upstream, server, down)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if len(edits) == 0 {
		return ""
	}
	if len(edits) > 1 {
		t.Fatalf("%d files", len(edits))
	}
	out, err := edits[0].Bytes()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(out)
}

// Each upstream is named u and its server 10.0.0.5:8080.
func TestDownTouchesOnlyItsWord(t *testing.T) {
	const other = " server 10.0.0.6:8080;"
	tests := map[string]struct{ up, down string }{
		"plain":                {"server 10.0.0.5:8080;" + other, "server 10.0.0.5:8080 down;" + other},
		"parameters":           {"server 10.0.0.5:8080 weight=3 max_fails=0;" + other, "server 10.0.0.5:8080 weight=3 max_fails=0 down;" + other},
		"backup":               {"server 10.0.0.5:8080 backup;" + other, "server 10.0.0.5:8080 backup down;" + other},
		"space at the end":     {"server 10.0.0.5:8080\t;" + other, "server 10.0.0.5:8080 down\t;" + other},
		"a comment at the end": {"server 10.0.0.5:8080 # down;\n ;" + other, "server 10.0.0.5:8080 down # down;\n ;" + other},
		"many lines, CR LF":    {"server\r\n 10.0.0.5:8080\r\n weight=2\r\n;" + other, "server\r\n 10.0.0.5:8080\r\n weight=2 down\r\n;" + other},
		"quoted":               {`"server" "10.0.0.5:8080" 'weight=2';` + other, `"server" "10.0.0.5:8080" 'weight=2' down;` + other},
		"the second on a line": {"server 10.0.0.6:8080;server 10.0.0.5:8080;", "server 10.0.0.6:8080;server 10.0.0.5:8080 down;"},
		"only a backup serves": {"server 10.0.0.5:8080; server 10.0.0.6:8080 backup;", "server 10.0.0.5:8080 down; server 10.0.0.6:8080 backup;"},
		"a neighbour is down":  {"server 10.0.0.7:1 down; server 10.0.0.5:8080;" + other, "server 10.0.0.7:1 down; server 10.0.0.5:8080 down;" + other},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conf := func(s string) memory { return memory{"/n": "http { upstream u { " + s + " } }"} }
			if got := edited(t, closureOf(conf(tt.up)), "u", "10.0.0.5:8080", true); got != conf(tt.down)["/n"] {
				t.Errorf("down: got %q", got)
			}
			if got := edited(t, closureOf(conf(tt.down)), "u", "10.0.0.5:8080", false); got != conf(tt.up)["/n"] {
				t.Errorf("up: got %q", got)
			}
			if got := edited(t, closureOf(conf(tt.down)), "u", "10.0.0.5:8080", true) + edited(t, closureOf(conf(tt.up)), "u", "10.0.0.5:8080", false); got != "" {
				t.Errorf("a second time: got %q", got)
			}
		})
	}
}

func TestReadyRemovesWhatSomeoneElseWrote(t *testing.T) {
	for from, want := range map[string]string{
		"server a:1 down weight=2;":         "server a:1 weight=2;",
		"server a:1   down\n;":              "server a:1  \n;",
		"server a:1 down backup down;":      "server a:1 backup;",
		"server a:1 \"down\";":              "server a:1;",
		"server a:1 # down\n down; #down":   "server a:1 # down\n; #down",
		"server a:1 # why\ndown weight=2 ;": "server a:1 # why\n weight=2 ;", // the line end closes the comment
	} {
		got := edited(t, closureOf(memory{"/n": "http { upstream u {\n" + from + "\n} }"}), "u", "a:1", false)
		if got != "http { upstream u {\n"+want+"\n} }" {
			t.Errorf("%q: got %q", from, got)
		}
	}
}

func TestNamesAreComparedAsNginxDoes(t *testing.T) {
	for name, tt := range map[string]struct{ from, upstream, server, want string }{
		"upstream":     {"http { upstream Web { server a:1; server b:1; } }", "wEB", "a:1", "http { upstream Web { server a:1 down; server b:1; } }"},
		"server":       {"http { upstream u { server App.Local; server b:1; } }", "u", "app.local:80", "http { upstream u { server App.Local down; server b:1; } }"},
		"exact server": {"http { upstream u { server A:1; server a:1; } }", "u", "a:1", "http { upstream u { server A:1; server a:1 down; } }"},
		"exact upstream": {"http { upstream U { server a:1; server b:1; } } stream { upstream u { server a:1; server b:1; } }", "u", "a:1",
			"http { upstream U { server a:1; server b:1; } } stream { upstream u { server a:1 down; server b:1; } }"},
	} {
		if got := edited(t, closureOf(memory{"/n": tt.from}), tt.upstream, tt.server, true); got != tt.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for server, want := range map[string]Reason{"unix:/a": UnknownServer, "bb:1": Ambiguous} {
		_, err := SetDown(closureOf(memory{"/n": "http { upstream u { server unix:/A; server Bb:1; server bB:1; } }"}), "u", server, true)
		var r *Refusal
		if !errors.As(err, &r) || r.Reason != want {
			t.Errorf("%s: got %v", server, err)
		}
	}
}

func TestDownIsRefusedWithAReason(t *testing.T) {
	tests := map[string]struct {
		files            memory
		upstream, server string
		reason           Reason
		text             string
	}{
		"broken file":          {memory{"/n": "http { upstream u { server a; server b; } "}, "u", "a:80", ConfigInvalid, "/n:1:43"},
		"unknown upstream":     {memory{"/n": "http { upstream u { server a; } upstream v { server a; } }"}, "w", "a:80", UnknownUpstream, "there are u, v"},
		"unknown server":       {memory{"/n": "http { upstream u { server a; server b:81; } }"}, "u", "c:80", UnknownServer, "it has a:80, b:81"},
		"last":                 {memory{"/n": "http { upstream u { server a; server b down; } }"}, "u", "a:80", LastServer, "502"},
		"last, another drains": {memory{"/n": "http { upstream u { server a; server b drain; } }"}, "u", "a:80", LastServer, "502"},
		"two lines":            {memory{"/n": "http { upstream u { server a;\n server a:80 weight=2; server b; } }"}, "u", "a:80", Ambiguous, "/n:1:21, /n:2:2"},
		"two upstreams":        {memory{"/n": "http { upstream u { server a:1; server b:1; } } stream { upstream u { server a:1; server b:1; } }"}, "u", "a:1", Ambiguous, "/n:1:21, /n:1:71"},
		"shared by two":        {memory{"/n": "http { upstream u { include s; } upstream v { include s; } }", "/s": "server a; server b;"}, "u", "a:80", SharedFile, "/s"},
		"shared in one":        {memory{"/n": "http { upstream u { include s; include s; } }", "/s": "server a; server b;"}, "u", "a:80", SharedFile, "/s"},
		"a resolved name":      {memory{"/n": "http { upstream u { zone u 64k; server a resolve; server b; } }"}, "u", "a:80", ResolvedName, "DNS"},
		"behind a name":        {memory{"/n": "http { upstream u { zone u 64k; server a resolve; server b; } }"}, "u", "10.0.0.1:80", ResolvedName, "a:80"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := SetDown(closureOf(tt.files), tt.upstream, tt.server, true)
			var r *Refusal
			if !errors.As(err, &r) || r.Reason != tt.reason || !strings.Contains(r.Text, tt.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The law: down and up again gives the same bytes, and the difference between them is one word.
func TestDownAndUpGivesTheSameBytes(t *testing.T) {
	space := rapid.StringMatching(`[ \t\r\n]{1,3}`)
	gap := rapid.OneOf(space, rapid.Just(" # down ; }\n"), rapid.Just("\n#\"\n"))
	param := rapid.SampledFrom([]string{"weight=2", "backup", "max_fails=3", "'fail_timeout=5s'", "\"max_conns=9\"", "downx", "slow_start=\\;1"})
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString("http{upstream u{")
		n := rapid.IntRange(2, 5).Draw(t, "servers")
		for i := range n {
			fmt.Fprintf(&b, "server%s10.0.0.%d", gap.Draw(t, "gap"), i)
			for range rapid.IntRange(0, 3).Draw(t, "params") {
				b.WriteString(gap.Draw(t, "gap") + param.Draw(t, "param"))
			}
			b.WriteString(rapid.OneOf(rapid.Just(""), gap).Draw(t, "gap") + ";")
		}
		b.WriteString("}}")
		before := b.String()
		server := fmt.Sprintf("10.0.0.%d:80", rapid.IntRange(0, n-1).Draw(t, "which"))
		down := edited(t, closureOf(memory{"/n": before}), "u", server, true)
		if len(down) != len(before)+len(" down") || strings.Count(down, " down") != strings.Count(before, " down")+1 {
			t.Fatalf("from %q to %q", before, down)
		}
		c := closureOf(memory{"/n": down})
		for _, s := range c.Meaning().Upstreams[0].Servers {
			if s.Down != (s.Name() == server) {
				t.Fatalf("%s down: %v in %q", s.Name(), s.Down, down)
			}
		}
		if up := edited(t, c, "u", server, false); up != before {
			t.Fatalf("from %q over %q to %q", before, down, up)
		}
	})
}

func TestRealNginxTakesTheEditedFile(t *testing.T) {
	tests := []string{"server 10.0.0.5:8080;", "server 10.0.0.5:8080 # down;\n ;", "server\r\n 10.0.0.5:8080\r\n weight=2\r\n;", `"server" "10.0.0.5:8080" 'weight=2';`}
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		for _, text := range tests {
			conf := peer.NginxMain(dir) + "events {}\nhttp { " + peer.NginxTemp(dir) + "upstream u { " + text + " server 10.0.0.6; } }"
			down := edited(t, closureOf(memory{"/n": conf}), "u", "10.0.0.5:8080", true)
			if code, said := judge(t, prog, dir, down); code != 0 {
				t.Errorf("%q: %s", text, said)
			}
		}
	})
}

func FuzzSetDown(f *testing.F) {
	f.Add("http { upstream u { server a; server b down; } }", "u", "a:80", true)
	f.Add("http { upstream u { server a # x\n down; server \"b\"; } }", "u", "a:80", false)
	f.Fuzz(func(t *testing.T, conf, upstream, server string, down bool) {
		c := closureOf(memory{"/n": conf})
		edits, err := SetDown(c, upstream, server, down)
		if err != nil || len(edits) == 0 {
			return
		}
		after, err := edits[0].Bytes()
		if err != nil {
			t.Fatal(err)
		}
		u, s, err := findServer(closureOf(memory{"/n": string(after)}).Meaning(), upstream, server)
		if err != nil || s.Down != down {
			t.Fatalf("%q: %v %v %v", after, u, s, err)
		}
		if down {
			back, err := SetDown(closureOf(memory{"/n": string(after)}), upstream, server, false)
			if err != nil {
				t.Fatal(err)
			}
			if restored, err := back[0].Bytes(); err != nil || !bytes.Equal(restored, []byte(conf)) {
				t.Fatalf("%q restored to %q", conf, restored)
			}
		}
	})
}

func TestModelOfAWholeConfig(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "whole.conf"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "whole.txt"))
	if err != nil {
		t.Fatal(err)
	}
	c := closureOf(memory{"/n": string(raw), "/servers.inc": "server 10.0.0.9:9000 weight=7;\n"})
	if got := printModel(c.Meaning()); got != string(want) {
		t.Errorf("got\n%s", got)
	}
}

func printModel(m *Model) string {
	var b strings.Builder
	fmt.Fprintf(&b, "pid %q, error_log %q, user %q, modules %q, shutdown %s\n", m.PIDFile, m.ErrorLog, m.User, m.LoadModules, m.WorkerShutdownTimeout)
	for _, u := range m.Upstreams {
		fmt.Fprintf(&b, "%s upstream %s at %s: %s, zone %q, keepalive %d\n", u.Context, u.Name, u.Place, u.Algorithm, u.Zone, u.Keepalive)
		for i := range u.Servers {
			s := &u.Servers[i]
			fmt.Fprintf(&b, "  %s at %s: host %s port %s weight %d fails %d in %s conns %d slow %s", s.Name(), s.Place(), s.Host, s.Port, s.Weight, s.MaxFails, s.FailTimeout, s.MaxConns, s.SlowStart)
			fmt.Fprintf(&b, " backup %v down %v drain %v resolve %v service %q\n", s.Backup, s.Down, s.Drain, s.Resolve, s.Service)
		}
	}
	for _, l := range m.Listens {
		fmt.Fprintf(&b, "%s server %s listens at %s on %s port %s %q\n", l.Context, l.Server, l.Place, l.Address, l.Port, l.Flags)
	}
	for _, p := range m.Proxies {
		fmt.Fprintf(&b, "%s %s at %s to %s: host %s upstream %q variable %v\n", p.Context, p.Kind, p.Place, p.Target, p.Host, p.Upstream, p.Variable)
	}
	return b.String()
}

func TestParseTime(t *testing.T) {
	for s, want := range map[string]string{"90": "1m30s", "1m30s": "1m30s", "1h 30m": "1h30m0s", "500ms": "500ms", "1d": "24h0m0s", "1y": "8760h0m0s",
		"": "", "x": "", "1s1m": "", "5 ms": "", "1s1s": "", "99999999999": "", "9999999999y": ""} {
		got, ok := ParseTime(s)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: got %s, %v", s, got, ok)
		}
	}
}
