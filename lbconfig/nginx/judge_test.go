package nginx

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/internal/child"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// judge has the real program test one file and returns its exit status and what it said.
func judge(t interface{ Fatalf(string, ...any) }, prog peer.Program, dir, text string) (int, string) {
	conf := filepath.Join(dir, "judged.conf")
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	res, err := child.Command{Path: prog.Path, Args: []string{"-t", "-p", dir, "-c", conf}}.Run(ctx)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return res.Code, string(res.Output)
}

// syntaxVerdict finds the complaint that nginx's reader itself makes, whatever the directives mean, and its line.
var syntaxVerdict = regexp.MustCompile(`(?s)\[emerg\] (?:\d+#\d+: )?(unexpected ".*?"|unexpected end of file|too long parameter)[^\n]* in \S+:(\d+)\n`)

// unknownDirective is where nginx prints a word as it decoded it.
var unknownDirective = regexp.MustCompile(`(?s)unknown directive "(.*?)" in /\S+judged.conf:(\d+)\n`)

// agree fails where our verdict and nginx's differ. nginx stops at its first complaint; where that one is about
// meaning, it has said nothing about the syntax of what follows.
func agree(t interface{ Fatalf(string, ...any) }, prog peer.Program, dir, text string) {
	f, problems := parse(text)
	var first *lbconfig.Problem
	for i, p := range problems {
		if p.Severity == lbconfig.Error && (first == nil || p.Line < first.Line) {
			first = &problems[i]
		}
	}
	code, said := judge(t, prog, dir, text)
	if first != nil && code == 0 {
		t.Fatalf("we refuse %.200q, nginx takes it: %s", text, first)
	}
	if m := syntaxVerdict.FindStringSubmatch(said); m != nil {
		if first == nil {
			t.Fatalf("we take %.200q, nginx does not: %s", text, said)
		}
		if strconv.Itoa(first.Line) != m[2] {
			t.Fatalf("%q: we say %s, nginx says %s", text, first, said)
		}
	}
	if m := unknownDirective.FindStringSubmatch(said); m != nil && !strings.Contains(text, "\x00") {
		if !slices.Contains(endings(f, &f.Root), m[1]+":"+m[2]) {
			t.Fatalf("%q: nginx reads %q ending in line %s, we read %q", text, m[1], m[2], endings(f, &f.Root))
		}
	}
}

// endings lists the name of each directive with the line of the ';' or '{' behind its words, the line that nginx reports.
func endings(f *File, b *Block) []string {
	var out []string
	for _, d := range b.Directives {
		out = append(out, d.Name()+":"+strconv.Itoa(f.Source.Place(d.End.Start).Line))
		if d.Block != nil {
			out = append(out, endings(f, d.Block)...)
		}
	}
	return out
}

// Nine ways in which another parser of nginx.conf went wrong; nginx is the judge of each. (The first three, lines of
// blocks, order of words, and lost comments, are the laws of FuzzParse and TestPlacesAreThoseOfTheFirstWord.)
func TestRealNginxAgreesAboutSyntax(t *testing.T) {
	inHTTP := func(s string) string { return "events {}\nhttp {\n" + s + "\n}\n" }
	tests := map[string]string{
		"server with its parameters":  inHTTP("upstream u { server 127.0.0.1 max_fails=3 fail_timeout=5s; }"),
		"comments at every end":       inHTTP("# a\nupstream u { server 127.0.0.1; # b\n} # c") + "# d",
		"extra brace":                 inHTTP("}\nserver { listen 80; }"),
		"escaped space and semicolon": inHTTP(`server { rewrite ^/a\ b /c\;d last; }`),
		"brace in a word":             inHTTP("log_format x a}b;"),
		"brace behind a variable":     inHTTP("log_format x ${host}b;"),
		"leading backquote":           inHTTP("log_format x `b c`;"),
		"lua with a brace":            inHTTP(`server { location / { content_by_lua_block { ngx.say("}") } } }`),
		"end of file in a block":      "events {}\nhttp {\n",
		"end of file in a quote":      "events {}\nuser 'a",
		"unknown directive":           "nonsense on;",
		"several words decoded":       `"a\"b\n\\\.c\ d" e;`,
		"bare word decoded":           `a\"b\t\\\.c\ d}${e}f e;`,
		"byte order mark":             "\xEF\xBB\xBFuser nobody;",
		"glued":                       "user \"a\"b;",
		"parenthesis":                 inHTTP(`server { if ($host = "a") { return 200; } }`),
		"parenthesis glued":           inHTTP(`server { if ($host = "a")b { return 200; } }`),
		"missing semicolon":           "events {}\nuser a\n}\n",
		"lonely semicolon":            "events {}\n;\n",
		"nameless block":              "events {}\n{}\n",
		"CR LF":                       "events {\r\n}\r\nhttp {\r\n}\r\n",
		"lone CR":                     "events {}\r#a\rhttp {\n}",
		"empty":                       "",
		"regex brace in map":          inHTTP("map $host $b {\n ~^x{2}$ 1; }"),
		"quoted regex in map":         inHTTP(`map $host $b { "~^x{2}$" 1; }`),
		"256 blocks":                  "events {}\nhttp { server {" + strings.Repeat("location /a {", 254) + strings.Repeat("}", 256),
	}
	for _, n := range []int{4093, 4094, 4095, 4096, 4097} {
		word := strings.Repeat("x", n)
		at := strconv.Itoa(n)
		tests["word of "+at] = inHTTP("log_format x " + word + ";")
		tests["word and a space of "+at] = inHTTP("log_format x " + word + " ;")
		tests["quoted word of "+at] = inHTTP("log_format x '" + word + "';")
		tests["quoted word and a space of "+at] = inHTTP("log_format x \"" + word + "\" ;")
		tests["comment of "+at] = inHTTP("#" + word[1:] + "\n")
		tests["word at the end of "+at] = inHTTP("") + word
		tests["comment at the end of "+at] = inHTTP("") + "#" + word[1:]
	}
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		for name, text := range tests {
			t.Run(name, func(t *testing.T) { agree(t, prog, dir, text) })
		}
	})
}

func TestRealNginxAgreesAboutAnyBytes(t *testing.T) {
	alphabet := rapid.SampledFrom([]string{"a", "bc", " ", " ", "\n", "\r\n", "\t", ";", ";", "{", "}", "\"", "'", "\\", "$", "${", "#", ")", "é", "\\n", "\\\""})
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		deadline := time.Now().Add(4 * time.Second)
		rapid.Check(t, func(rt *rapid.T) {
			text := "z" + strings.Join(rapid.SliceOfN(alphabet, 1, 30).Draw(rt, "text"), "")
			if time.Now().Before(deadline) { // a process each: stop asking when the time is spent
				agree(rt, prog, dir, text)
			}
		})
	})
}

// A file that is being written may be read at any length, and a slip may hit any byte.
func TestRealNginxAgreesAboutEveryCutAndSlip(t *testing.T) {
	t.Parallel()
	prog, dir := peertest.One(t, "nginx"), peertest.Dir(t)
	whole := "events {}\n#c ; }\nhttp {\n upstream u { server 127.0.0.1 weight=2; # {\n }\n log_format 'x' \"a$b\" c\\ ;\n map $host $m { \"~a{2}\" 'b'; }\n server { location ~ a\\.b { return 200 ${m}; } }\n}\n"
	for i := range len(whole) {
		agree(t, prog, dir, whole[:i])
		agree(t, prog, dir, whole[:i]+[]string{"}", "\""}[i%2]+whole[i+1:])
	}
}

// What Debian's package installs must be read without a complaint, byte for byte.
func TestInstalledConfigIsReadWhole(t *testing.T) {
	peertest.One(t, "nginx")
	files := 0
	err := filepath.WalkDir("/etc/nginx", func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		checkLaws(t, string(raw))
		if _, problems := Parse(lbconfig.NewSource(path, raw)); len(problems) > 0 {
			t.Errorf("%v", problems)
		}
		return nil
	})
	if err != nil || files < 8 {
		t.Errorf("%d files, %v", files, err)
	}
	if c := Load("/", "/etc/nginx/nginx.conf", Disk{}); len(c.Problems) > 0 || len(c.Files) < 2 {
		t.Errorf("its closure: %v", c.Problems)
	}
}
