package nginx

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/lbconfig"
)

func parse(text string) (*File, []lbconfig.Problem) {
	return Parse(lbconfig.NewSource("nginx.conf", []byte(text)))
}

// outline prints a tree on one line: words in brackets, blocks in braces.
func outline(b *Block) string {
	var out []string
	for _, d := range b.Directives {
		var words []string
		for _, w := range d.Words {
			words = append(words, "["+w.Value+"]")
		}
		s := strings.Join(words, "")
		if d.Block != nil {
			s += "{" + outline(d.Block) + "}"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestWordsAreDecodedAsNginxDoes(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"plain":                      {`a b c;`, `[a][b][c]`},
		"quotes":                     {`a "b c" 'd "e"';`, `[a][b c][d "e"]`},
		"escaped quote":              {`a "b\"c";`, `[a][b"c]`},
		"newline, tab, return":       {`a "\n\t\r";`, "[a][\n\t\r]"},
		"escapes outside quotes":     {`a b\nc\\;`, "[a][b\nc\\]"},
		"escaped space stays":        {`rewrite ^/a\ b /c\;d last;`, `[rewrite][^/a\ b][/c\;d][last]`},
		"unknown escape stays":       {`a \.php$;`, `[a][\.php$]`},
		"brace closes inside a word": {`log_format x a}b;`, `[log_format][x][a}b]`},
		"variable in braces":         {`a ${b}c;`, `[a][${b}c]`},
		"brace ends a word":          {`a b{}`, `[a][b]{}`},
		"brace behind a variable":    {`a $b{}`, `[a][$b]{}`},
		"a quote inside a word":      {`a b"c d";`, `[a][b"c][d"]`},
		"backquote is no quote":      {"a `b c`;", "[a][`b][c`]"},
		"comment between words":      {"a # ; }\n b;", `[a][b]`},
		"hash inside a word":         {`a b#c;`, `[a][b#c]`},
		"parenthesis behind quotes":  {`if ($a = "b") {}`, `[if][($a][=][b][)]{}`},
		"empty word":                 {`a "";`, `[a][]`},
		"lines end in CR LF":         {"a b;\r\nc {\r\n}\r\n", `[a][b] [c]{}`},
		"types":                      {"types { text/html html htm; }", `[types]{[text/html][html][htm]}`},
		"map":                        {"map $a $b { default 0; include x; }", `[map][$a][$b]{[default][0] [include][x]}`},
		"map with a quoted regex":    {`map $a $b { "~^x{2}$" 1; }`, `[map][$a][$b]{[~^x{2}$][1]}`},
		"split_clients":              {"split_clients $a $b { 50% x; * y; }", `[split_clients][$a][$b]{[50%][x] [*][y]}`},
		"byte order mark":            {"\xEF\xBB\xBFuser a;", "[\xEF\xBB\xBFuser][a]"},
		"lua":                        {`content_by_lua_block { ngx.say("}") -- }` + "\n --[[ } ]] x = [==[ } ]] } ]==] if a { b } }\nc;", `[content_by_lua_block]{} [c]`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, problems := parse(tt.text)
			if got := outline(&f.Root); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			for _, p := range problems {
				if p.Severity == lbconfig.Error {
					t.Errorf("unexpected %s", p)
				}
			}
		})
	}
}

// What lua-nginx-module 0.10.23 (Debian 12, nginx 1.22.1) was seen to do with each code: where it takes the block to
// end, seen by whether it reads the directive behind it.
func TestLuaCodeEndsWhereTheModuleEndsIt(t *testing.T) {
	tests := map[string]struct {
		code string
		want bool // the directive behind the block is read, and nothing is wrong
	}{
		"brace in a string":          {`ngx.say("}")`, true},
		"brace in quotes":            {`ngx.say('{')`, true},
		"escaped quote":              {`ngx.say("\"}")`, true},
		"escaped backslash":          {`s = 'a\\'`, true},
		"line comment":               {"-- }\n", true},
		"line comment, CR LF":        {"-- } \r\n", true},
		"apostrophe in a comment":    {"-- don't }\n", true},
		"long comment":               {"--[[ } \n } ]]", true},
		"three dashes":               {"---[[ }\n a", true},
		"levels":                     {"x = [==[ } ]] } ]==]", true},
		"a comment with levels":      {"a = 1 - -1 --[=[ } ]] ]=]", true},
		"nested tables":              {"t = {1,{2}}", true},
		"an index":                   {"y = t[t[1]]", true},
		"quote in a long string":     {`[[ " ]]`, true},
		"quote without a partner":    {`s = "a `, true},
		"dashes in a string":         {`s = "--"`, true},
		"a comment swallows the end": {"a --", false},
		"long comment without end":   {"--[[ }", false},
		"long string without end":    {"s = [[ }", false},
		"table without end":          {"t = {", false},
		"string over two lines":      {"s = \"a\n}\"", false},
		"string over two lines too":  {"s = \"a\\\n}\"", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, problems := parse("http { content_by_lua_block { " + tt.code + " } }\nmarker;\n")
			last := f.Root.Directives[len(f.Root.Directives)-1]
			if got := last.Name() == "marker" && len(problems) == 0; got != tt.want {
				t.Errorf("got %s, %v", outline(&f.Root), problems)
			}
		})
	}
}

func TestLuaIsReadInLinearTime(t *testing.T) {
	for _, unit := range []string{`"\`, `'"`, "[=[", "--", "[", "{", `\'`} {
		began := time.Now()
		checkLaws(t, "a_by_lua_block {"+strings.Repeat(unit, 1<<19))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q took %s", unit, took)
		}
	}
}

func TestEveryProblemHasItsPlace(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"extra brace, and the rest is still read": {"a;\n}\nb {\n}\n c;", []string{`nginx.conf:2:1: error nginx-syntax: unexpected "}": no block is open here`}},
		"end of file in a block": {"http {\n  server {\n a;\n", []string{
			`nginx.conf:4:1: error nginx-syntax: unexpected end of file, expecting "}": the block opened at 2:10 ("server") is never closed`,
			`nginx.conf:4:1: error nginx-syntax: unexpected end of file, expecting "}": the block opened at 1:6 ("http") is never closed`}},
		"missing semicolon before a brace": {"a {\n b\n}\n", []string{`nginx.conf:3:1: error nginx-syntax: unexpected "}": the directive that begins in line 2 has no ";"`}},
		"missing semicolon at the end":     {"a\n", []string{`nginx.conf:2:1: error nginx-syntax: unexpected end of file: the directive that begins at 1:1 has no ";"`}},
		"unclosed quote":                   {"a 'b;\n", []string{`nginx.conf:2:1: error nginx-syntax: unexpected end of file: the quote opened at 1:3 is never closed`}},
		"glued to a quote":                 {`a "b"c;`, []string{`nginx.conf:1:6: error nginx-syntax: unexpected "c" behind a closing quote; put a space between`}},
		"lonely semicolon":                 {";", []string{`nginx.conf:1:1: error nginx-syntax: unexpected ";"`}},
		"block among entries": {"map $a $b {\n ~^x{2} 1; }", []string{
			`nginx.conf:2:5: error nginx-syntax: unexpected "{" in "map": quote the word that holds it`,
			`nginx.conf:2:13: error nginx-syntax: unexpected end of file, expecting "}": the block opened at 1:11 ("map") is never closed`}},
		"nameless block":  {"{}", []string{`nginx.conf:1:1: error nginx-syntax: unexpected "{": a block needs a name`}},
		"byte order mark": {"\xEF\xBB\xBFa;", []string{"nginx.conf:1:1: warning nginx-byte-order-mark: nginx takes the byte order mark as part of the first word; save the file without it"}},
		"unclosed lua": {"a_by_lua_block { '}'", []string{
			`nginx.conf:1:21: error nginx-syntax: unexpected end of file, expecting "}": the block opened at 1:16 ("a_by_lua_block") is never closed`}},
		"a word longer than the buffer": {"a " + strings.Repeat("b", 4096) + ";", []string{
			`nginx.conf:1:3: error nginx-syntax: longer than the 4096 bytes that nginx reads at once, probably a missing quote or ;`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems := parse(tt.text)
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestPlacesAreThoseOfTheFirstWord(t *testing.T) {
	f, _ := parse("http {\n\n  upstream u {\n    server\n      a;\n  }\n}\n")
	up := f.Root.Directives[0].Block.Directives[0]
	if got := f.Place(up).String(); got != "nginx.conf:3:3" {
		t.Errorf("upstream at %s", got)
	}
	if got := f.Place(up.Block.Directives[0]).String(); got != "nginx.conf:4:5" {
		t.Errorf("server at %s", got)
	}
}

func TestBlocksAreBounded(t *testing.T) {
	_, problems := parse(strings.Repeat("a {", 100_000))
	if len(problems) == 0 || problems[0].Rule != RuleBounds {
		t.Errorf("got %v", problems)
	}
}

// render writes the tree out again: its pieces and the space between them.
func render(f *File) (text string, gaps string) {
	var out, space strings.Builder
	at := 0
	for _, s := range f.Pieces() {
		space.Write(f.Source.Bytes[at:s.Start])
		out.Write(f.Source.Bytes[at:s.Start])
		out.WriteString(f.Source.Text(s))
		at = s.End
	}
	space.Write(f.Source.Bytes[at:])
	out.Write(f.Source.Bytes[at:])
	return out.String(), space.String()
}

// checkLaws holds for every input: no byte is lost, nothing but space lies between the pieces, spans nest.
func checkLaws(t interface{ Fatalf(string, ...any) }, text string) {
	f, problems := parse(text)
	back, gaps := render(f)
	if back != text {
		t.Fatalf("rendered %q, want %q", back, text)
	}
	if strings.Trim(gaps, " \t\r\n") != "" {
		t.Fatalf("the tree leaves out %q of %q", strings.TrimSpace(gaps), text)
	}
	checkNesting(t, &f.Root, lbconfig.Span{Start: 0, End: len(text)}, 0)
	if len(f.Stray) > 0 && len(problems) == 0 {
		t.Fatalf("stray bytes without a problem in %q", text)
	}
	for _, p := range problems {
		if p.Line < 1 || p.Col < 1 || p.Text == "" || strings.ContainsAny(p.Text, "\r\n") {
			t.Fatalf("bad problem %+v", p)
		}
	}
}

func checkNesting(t interface{ Fatalf(string, ...any) }, b *Block, outer lbconfig.Span, depth int) {
	if depth > MaxDepth {
		t.Fatalf("nested deeper than %d", MaxDepth)
	}
	within := func(inner, outer lbconfig.Span) {
		if inner.Start < outer.Start || inner.End > outer.End || inner.End < inner.Start {
			t.Fatalf("span %v is not inside %v", inner, outer)
		}
	}
	at := outer.Start
	for _, d := range b.Directives {
		within(d.Span, lbconfig.Span{Start: at, End: outer.End})
		word := d.Span.Start
		for _, w := range d.Words {
			within(w.Span, lbconfig.Span{Start: word, End: d.Span.End})
			word = w.Span.End
		}
		if d.End.Len() > 0 {
			within(d.End, lbconfig.Span{Start: word, End: d.Span.End})
		}
		if d.Block != nil {
			checkNesting(t, d.Block, lbconfig.Span{Start: d.End.End, End: d.Span.End}, depth+1)
		}
		at = d.Span.End
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a;", "a {b 'c' \"d\";}", "a\\ b ${c}d}e{f;}", "#x\r\n\ta \xEF\xBB\xBF;", "}", "{", "x_by_lua_block { '}' --[[ } ]] }",
		"a \"b\"c;", "a # c\n b # d\n}", strings.Repeat("x", 4097), "a '" + strings.Repeat("x", 4095) + "' b;", "#" + strings.Repeat("x", 5000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkLaws(t, text) })
}

func TestNoEditMeansTheSameBytes(t *testing.T) {
	alphabet := rapid.SampledFrom([]string{"a", "server", " ", "\n", "\r\n", "\t", ";", "{", "}", "\"", "'", "\\", "$", "#", "(", ")", "_by_lua_block", "[", "]", "=", "--", "é", "\x00"})
	rapid.Check(t, func(t *rapid.T) {
		checkLaws(t, strings.Join(rapid.SliceOfN(alphabet, 0, 60).Draw(t, "text"), ""))
	})
}
