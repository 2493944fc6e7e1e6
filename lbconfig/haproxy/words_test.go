package haproxy

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"github.com/lbmedic/lbmedic/lbconfig"
)

// testEnv is what the tests that compare words with the real program set there and here.
var testEnv = map[string]string{"SET": "value", "EMPTY": "", "LIST": "a b  c", "PADDED": " p q "}

func lookupTestEnv(name string) (string, bool) {
	v, ok := testEnv[name]
	return v, ok
}

func argsOf(line string, env Env) []string {
	f, _ := Parse(lbconfig.NewSource("f", []byte(line+"\n")))
	return texts(f.Lines[0].Args(f.Source, env))
}

func TestWordsAreCutAsHAProxyCutsThem(t *testing.T) {
	tests := map[string]struct {
		line string
		want []string
	}{
		"blanks and tabs":            {"  server\ts1  127.0.0.1:80 ", []string{"server", "s1", "127.0.0.1:80"}},
		"form feed and vertical tab": {"server\fs1\v127.0.0.1:80", []string{"server", "s1", "127.0.0.1:80"}},
		"comment":                    {"server s1 # check", []string{"server", "s1"}},
		"hash inside a word":         {"server s1#x 127.0.0.1:80", []string{"server", "s1"}},
		"escaped hash":               {`a\#b "c\#d" "e#f"`, []string{"a#b", "c#d", "e#f"}},
		"quotes inside a word":       {`"a"b'c'`, []string{"abc"}},
		"escaped blanks":             {`a\ b "a\ b" 'a\ b'`, []string{"a b", "a b", `a\ b`}},
		"quotes in quotes":           {`"a'b" 'a"b' "a\"b" a\'b`, []string{"a'b", `a"b`, `a"b`, "a'b"}},
		"unknown escapes stay":       {`\q "\q" \;`, []string{`\q`, `\q`, `\;`}},
		"a backslash before a tab":   {"a\\\tb", []string{`a\`, "b"}},
		"control characters":         {`\n\t\r\x41`, []string{"\n\t\rA"}},
		"trailing backslash":         {`server s1 \`, []string{"server", "s1", `\`}},
		"no variable outside quotes": {`${SET} $SET '${SET}'`, []string{"${SET}", "$SET", "${SET}"}},
		"variables":                  {`"$SET/x" "${SET}y"`, []string{"value/x", "valuey"}},
		"escaped dollar":             {`"\$SET" \$SET`, []string{"$SET", `\$SET`}},
		"default":                    {`"${UNSET-d e}" "${SET-d}" "${UNSET-}x"`, []string{"d e", "value", "x"}},
		"list":                       {`"${LIST[*]}" "p${LIST[*]}q" "${UNSET[*]-d e}"`, []string{"a", "b", "c", "pa", "b", "cq", "d", "e"}},
		"a variable is one word":     {`"${LIST}"`, []string{"a b  c"}},
		"unset eats the blanks":      {`a "x${UNSET}" y`, []string{"a", "xy"}},
		"unset alone disappears":     {`a "${UNSET}" y`, []string{"a", "y"}},
		"an empty word ends them":    {`a "" b`, []string{"a"}},
		"an empty variable too":      {`a "${EMPTY-x}" b`, []string{"a"}},
		"carriage return":            {"backend b\r server s", []string{"backend", "b"}},
		"nul":                        {"backend b\x00 server s", []string{"backend", "b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := argsOf(tt.line, lookupTestEnv)
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The real program prints the words it has cut with -dC (whole from 3.0 on). Whatever line we find nothing wrong with must be
// cut the same there.
func TestWordsAgreeWithTheRealProgram(t *testing.T) {
	for _, version := range []string{"3.0", "3.2"} {
		prog := peertest.Version(t, "haproxy", version)
		t.Run(prog.Name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			compareWords(t, prog, randomLines(random, 3000))
		})
	}
}

func randomLines(random *rand.Rand, n int) []string {
	pieces := []string{"a", "b", "-", ".", " ", "\t", `\ `, `\\`, `\#`, `\"`, `\'`, `\$`, `\q`, `\t`, `\x41`, "\\\t", `"`, `"`, `"`, `'`,
		`$SET`, `${SET}`, `${UNSET}`, `${UNSET}"`, `${UNSET-d e}`, `${LIST[*]}`, `${LIST}`, `${UNSET[*]}`, `"${LIST[*]}"`, "#", "\v", "é"}
	lines := make([]string, n)
	for i := range lines {
		var b strings.Builder
		for range 1 + random.IntN(12) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		lines[i] = "  description x" + b.String()
	}
	return lines
}

// compareWords joins words by single blanks on both sides, as the dump does.
func compareWords(t *testing.T, prog peer.Program, lines []string) {
	config, typed, want := "global\n", []string(nil), []string(nil)
	for _, l := range lines {
		f, problems := Parse(lbconfig.NewSource("f", []byte(l+"\n")))
		if len(problems) > 0 {
			continue
		}
		words, _, _ := cut(f.Source.Bytes, lbconfig.Span{End: len(l)}, lookupTestEnv)
		config += l + "\n"
		typed, want = append(typed, l), append(want, strings.Join(texts(words), " "))
	}
	path := filepath.Join(peertest.Dir(t), "words.cfg")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(prog.Path, "-dC", "-c", "-f", path)
	cmd.Env = append(os.Environ(), "SET=value", "LIST=a b  c")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 { // no listener
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for l := range strings.Lines(string(out)) {
		if l, ok := strings.CutPrefix(l, "\tdescription"); ok {
			got = append(got, "description"+strings.TrimRight(l, " \n"))
		}
	}
	if len(want) < len(lines)/4 || len(got) < len(want) {
		t.Fatalf("%d of %d lines are good; %d were dumped", len(want), len(lines), len(got))
	}
	for i := range want {
		if w := strings.TrimRight(want[i], " "); got[i] != w {
			t.Errorf("%q: the program cut %q, we %q", typed[i], got[i], w)
		}
	}
}
