package nginx

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/internal/child"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// write makes files below dir; a name that ends in '/' makes a folder.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func names(dir string, files []*File) []string {
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimPrefix(f.Source.Path, dir+"/"))
	}
	return out
}

// dumped asks the real program which files it reads, in its order.
func dumped(t testing.TB, prog peer.Program, dir, conf string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	res, err := child.Command{Path: prog.Path, Args: []string{"-T", "-p", dir, "-c", conf}}.Run(ctx)
	if err != nil || res.Code != 0 {
		t.Fatalf("%v %d %s", err, res.Code, res.Output)
	}
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^# configuration file (\S+):$`).FindAllStringSubmatch(string(res.Output), -1) {
		out = append(out, strings.TrimPrefix(m[1], dir+"/"))
	}
	return out
}

// The order of globs, hidden files, brackets, and the folder that relative includes begin at are nginx's own.
func TestClosureIsTheOneNginxReads(t *testing.T) {
	peertest.Root(t)
	files := map[string]string{
		"etc/nginx.conf":              "events {}\nhttp { include conf.d/*.conf; include empty/*.conf; include [!a-c]x[^y]z.inc; include 'q?.inc'; include */deep.conf; include lit/\"eral.conf;\n include \\*lit*; include up/../one.inc; }\n",
		"etc/conf.d/b.conf":           "include conf.d/sub/relative.inc;",
		"etc/conf.d/sub/relative.inc": "# relative to the main file's folder",
		"etc/conf.d/a.conf":           "types { include types.inc; }\nmap $host $x { include map/*.inc; default 1; }\n",
		"etc/conf.d/B.conf":           "#", "etc/conf.d/.hidden.conf": "bad", "etc/conf.d/10.conf": "#", "etc/conf.d/9.conf": "#",
		"etc/types.inc": "text/x x;", "etc/map/1.inc": "a 1;", "etc/map/2.inc": "b 2;",
		"etc/empty/": "", "etc/dxxz.inc": "#", "etc/axxz.inc": "bad", "etc/dxyz.inc": "bad", "etc/q1.inc": "#", "etc/q22.inc": "bad",
		"etc/m/deep.conf": "#", "etc/n/deep.conf": "#", "etc/lit/\"eral.conf": "geo $g { include geo.inc; default 0; }\nsplit_clients $host $s { 50% include; * b; }",
		"etc/geo.inc": "127.0.0.1 1;", "etc/*literal": "#", "etc/up/": "", "etc/one.inc": "#",
	}
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		write(t, dir, files)
		c := Load(dir, "etc/nginx.conf", Disk{})
		if len(c.Problems) > 0 {
			t.Errorf("problems: %v", c.Problems)
		}
		got, want := names(dir, c.Files), dumped(t, prog, dir, filepath.Join(dir, "etc/nginx.conf"))
		if strings.Join(got, "\n") != strings.Join(want, "\n") || len(got) < 15 {
			t.Errorf("we read\n%s\nnginx reads\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		include := c.Main.Root.Directives[1].Block.Directives[0]
		if got := strings.Join(names(dir, c.Pulled(include)), " "); got != "etc/conf.d/10.conf etc/conf.d/9.conf etc/conf.d/B.conf etc/conf.d/a.conf etc/conf.d/b.conf" {
			t.Errorf("the first include pulls %s", got)
		}
	})
}

func TestClosureProblemsNameTheInclude(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		fifo  string
		want  string
	}{
		"missing literal":  {files: map[string]string{"nginx.conf": "a;\n include  b.conf;"}, want: "nginx.conf:2:11: error nginx-include: read DIR/b.conf: no such file or directory"},
		"missing main":     {want: "nginx.conf: error nginx-include: read DIR/nginx.conf: no such file or directory"},
		"cycle":            {files: map[string]string{"nginx.conf": "include a;", "a": "include b;", "b": "\ninclude a;"}, want: "b:2:9: error nginx-include: the file includes itself: DIR/a → DIR/b → DIR/a"},
		"cycle by glob":    {files: map[string]string{"nginx.conf": "include *.conf;"}, want: "nginx.conf:1:9: error nginx-include: the file includes itself: DIR/nginx.conf → DIR/nginx.conf"},
		"folder by glob":   {files: map[string]string{"nginx.conf": "include d/*;", "d/e/": ""}, want: "nginx.conf:1:9: error nginx-include: read DIR/d/e: a folder, not a regular file"},
		"fifo":             {files: map[string]string{"nginx.conf": "include p;"}, fifo: "p", want: "nginx.conf:1:9: error nginx-include: read DIR/p: a FIFO, not a regular file"},
		"device":           {files: map[string]string{"nginx.conf": "include /dev/zero;"}, want: "nginx.conf:1:9: error nginx-include: read /dev/zero: a device, not a regular file"},
		"two arguments":    {files: map[string]string{"nginx.conf": "include a b;"}, want: "nginx.conf:1:1: error nginx-include: include takes one file or pattern, not 2"},
		"a broken include": {files: map[string]string{"nginx.conf": "include a;", "a": "}"}, want: "a:1:1: error nginx-syntax: unexpected \"}\": no block is open here"},
		"geo does no glob": {files: map[string]string{"nginx.conf": "geo $a { include *.g; }", "x.g": "#"}, want: "nginx.conf:1:18: error nginx-include: read DIR/*.g: no such file or directory"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := peertest.Dir(t)
			write(t, dir, tt.files)
			if tt.fifo != "" {
				if err := unix.Mkfifo(filepath.Join(dir, tt.fifo), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			c := Load(dir, "nginx.conf", Disk{})
			var got []string
			for _, p := range c.Problems {
				got = append(got, strings.TrimPrefix(p.String(), dir+"/"))
			}
			if strings.ReplaceAll(strings.Join(got, "\n"), dir, "DIR") != tt.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), tt.want)
			}
		})
	}
}

func TestHugeFileIsRefusedUnread(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nginx.conf")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil {
		t.Fatal(err)
	}
	if c := Load("/", path, Disk{}); c.Main != nil || len(c.Problems) != 1 || !strings.Contains(c.Problems[0].Text, "1073741824 bytes") {
		t.Errorf("got %v", c.Problems)
	}
}

// memory is a Tree of made-up files.
type memory map[string]string

func (m memory) Read(path string) ([]byte, string, error) {
	if text, ok := m[path]; ok {
		return []byte(text), path, nil
	}
	return nil, "", os.ErrNotExist
}

func (m memory) List(dir string) (names []string, err error) {
	for path := range m {
		if filepath.Dir(path) == filepath.Clean(dir) {
			names = append(names, filepath.Base(path))
		}
	}
	return names, nil
}

func TestInclusionsAreBounded(t *testing.T) {
	m := memory{}
	for i := range 30 { // each includes the next one twice: 2^30 inclusions
		m[fmt.Sprintf("/f%d", i)] = fmt.Sprintf("include f%d; include f%d;", i+1, i+1)
	}
	m["/f30"] = "a;"
	c := Load("/", "f0", m)
	if len(c.Problems) != 1 || c.Problems[0].Rule != RuleBounds {
		t.Errorf("got %v", c.Problems)
	}
}

func TestFileIncludedTwiceIsCountedTwice(t *testing.T) {
	c := Load("/", "n", memory{"/n": "include a; include a;", "/a": "b;"})
	if got := c.Times(c.File("/a")); got != 2 || len(c.Files) != 2 {
		t.Errorf("%d times, %d files", got, len(c.Files))
	}
}

func TestFileIncludedByTwoPathsIsCountedTwice(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"n": "http { upstream u { include a; } upstream v { include b; } }", "a": "server x; server y;"})
	if err := os.Symlink("a", filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	c := Load(dir, "n", Disk{})
	if got := c.Times(c.File(filepath.Join(dir, "a"))); got != 2 || !c.Meaning().Upstreams[1].Servers[0].Shared {
		t.Errorf("%d times, %v", got, c.Problems)
	}
}

func TestHashChangesWithEveryFile(t *testing.T) {
	hash := func(m memory) Hash { return Load("/", "n", m).Hash() }
	base := hash(memory{"/n": "include *.c;", "/a.c": "b;"})
	for name, m := range map[string]memory{
		"other bytes": {"/n": "include *.c;", "/a.c": "c;"},
		"other name":  {"/n": "include *.c;", "/b.c": "b;"},
		"more files":  {"/n": "include *.c;", "/a.c": "b;", "/b.c": ""},
	} {
		if hash(m) == base {
			t.Errorf("%s: the same hash", name)
		}
	}
	if hash(memory{"/n": "include *.c;", "/a.c": "b;"}) != base {
		t.Error("the same files, another hash")
	}
}

// In a chroot a symlink leads to where it leads there.
func TestDiskStaysBelowItsRoot(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"etc/real.conf": "a;"})
	if err := os.Symlink("/etc/real.conf", filepath.Join(root, "etc/link.conf")); err != nil {
		t.Fatal(err)
	}
	got, _, err := Disk{Root: root}.Read("/etc/link.conf")
	if err != nil || string(got) != "a;" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, _, err := (Disk{Root: root}).Read("/../../../../../../../etc/passwd"); err == nil {
		t.Error("read a file outside the root")
	}
}

// filepath.Match agrees with glob(3) where neither leading dots, '!' nor broken brackets are about.
func TestMatchNameAgreesWithAnotherMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "?", "[ab]", "[^a]", "[a-b]", `\*`, "*"}), 0, 8).Draw(t, "pattern"), "")
		name := rapid.StringMatching(`[ab*c]{0,8}`).Draw(t, "name")
		want, err := filepath.Match(pattern, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := matchName(pattern, name); got != want {
			t.Errorf("%q on %q: got %v", pattern, name, got)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add("include *.c;", "include [!a]*;", "include")
	f.Add("geo $a { include a.c; }", "include n;", "include \"\";")
	f.Fuzz(func(t *testing.T, main, a, b string) {
		c := Load("/", "n", memory{"/n": main, "/a.c": a, "/b.c": b})
		for _, p := range c.Problems {
			if p.Severity != lbconfig.Error && p.Rule != RuleBOM {
				t.Errorf("unexpected %v", p)
			}
		}
	})
}
