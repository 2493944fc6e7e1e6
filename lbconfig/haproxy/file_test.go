package haproxy

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/lbconfig"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "\n", "global\n\tdaemon # yes\n", "backend b\r\n  server s1 127.0.0.1:80 check\r\n",
		"frontend f\n bind \"${A-127.0.0.1}:80\"\n acl x path '/a b' \\\n", ".if defined(X)\nbackend b from d\n.else\n.endif\n.endif\n",
		"a\x00b\n", "\"open", "listen 'l\n", "x \\x4", "\"${\"", "\"${A[*]-\"", strings.Repeat("w ", 80) + "\n", "\r", "a\rb\nc"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, problems := Parse(lbconfig.NewSource("f", bytes.Clone(data)))
		if got := file.Print(); !bytes.Equal(got, data) {
			t.Fatalf("printed %q", got)
		}
		checkTiling(t, file)
		for _, p := range problems {
			if p.Line < 1 || p.Col < 1 || strings.ContainsAny(p.Text, "\n\r") {
				t.Errorf("problem %+v", p)
			}
		}
		for _, l := range file.Lines {
			for _, w := range l.Args(file.Source, lookupTestEnv) {
				if w.Span.Start < l.Span.Start || w.Span.End > l.Span.End {
					t.Errorf("argument %+v outside its line %+v", w, l.Span)
				}
			}
		}
	})
}

// checkTiling asserts that lines follow each other without a gap, and that nothing but blanks stands between words.
func checkTiling(t *testing.T, file *File) {
	src, at := file.Source, 0
	for _, l := range file.Lines {
		if l.Span.Start != at {
			t.Fatalf("line starts at %d, the one before ended at %d", l.Span.Start, at)
		}
		for _, w := range l.Words {
			if gap := src.Bytes[at:w.Span.Start]; strings.Trim(string(gap), " \t\v\f") != "" || w.Span.Len() == 0 {
				t.Fatalf("between words: %q", gap)
			}
			at = w.Span.End
		}
		gap := src.Bytes[at:l.Tail.Start]
		if strings.Trim(string(gap), " \t\v\f") != "" || l.Tail.End != l.End.Start || l.End.End != l.Span.End {
			t.Fatalf("line %+v, gap %q", l, gap)
		}
		at = l.Span.End
	}
	if at != len(src.Bytes) {
		t.Fatalf("lines end at %d of %d", at, len(src.Bytes))
	}
	for i, s := range file.Sections {
		if s.End <= s.Header || s.End > len(file.Lines) || i > 0 && file.Sections[i-1].End != s.Header {
			t.Fatalf("sections %+v", file.Sections)
		}
	}
}

func TestSections(t *testing.T) {
	file, problems := Parse(lbconfig.NewSource("f", []byte(
		"# top\nglobal\n daemon\ndefaults base\ndefaults from base\ndefaults web from base\nbackend b from web\n server s 127.0.0.1:80\nfrontend f\n")))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := []Section{{"global", "", "", 1, 3}, {"defaults", "base", "", 3, 4}, {"defaults", "", "base", 4, 5},
		{"defaults", "web", "base", 5, 6}, {"backend", "b", "web", 6, 8}, {"frontend", "f", "", 8, 9}}
	if len(file.Sections) != len(want) {
		t.Fatalf("%+v", file.Sections)
	}
	for i, s := range file.Sections {
		if s != want[i] {
			t.Errorf("got %+v, want %+v", s, want[i])
		}
	}
}

func TestWhatHAProxyCannotCutIsAProblem(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"no line end":       {"global\nbackend b", "f:2:10: error line-end: no line end"},
		"nul":               {"global\n\x00\n", "f:2:1: error binary:"},
		"open quote":        {"a \"b\n", "f:1:3: error syntax: unmatched quote"},
		"open single quote": {"a 'b\n", "f:1:3: error syntax: unmatched quote"},
		"open brace":        {"a \"${B\"\n", "f:1:5: error syntax: unmatched brace"},
		"bad variable":      {"a \"$1\"\n", "f:1:5: error syntax: forbidden first character"},
		"bad hex":           {"a \\xz\n", "f:1:5: error syntax: truncated or invalid hex"},
		"65 words":          {strings.Repeat("w ", 65) + "\n", "f:1:129: error syntax: too many words"},
		"open if":           {"global\n .if 1\n", "f:2:2: error syntax: .if without .endif"},
		"stray endif":       {".endif\n", "f:1:1: error syntax: .endif without .if"},
		"two elses":         {".if 1\n.else\n.else\n.endif\n", "f:3:1: error syntax: .else after .else"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems := Parse(lbconfig.NewSource("f", []byte(tt.text)))
			if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), tt.want) {
				t.Errorf("got %v, want %s", problems, tt.want)
			}
		})
	}
}

func TestAFileThatIsTooLargeIsOneProblem(t *testing.T) {
	data := bytes.Repeat([]byte("a\n"), lbconfig.MaxSource/2+1)
	file, problems := Parse(lbconfig.NewSource("f", data))
	if len(problems) != 1 || problems[0].Rule != "size" || !bytes.Equal(file.Print(), data) {
		t.Error(problems)
	}
}
