package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFindSeesWhatGoTestWouldFuzz(t *testing.T) {
	file := func(body string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("package x\n\nimport \"testing\"\n\n" + body)}
	}
	tree := fstest.MapFS{
		"go.mod":                  {Data: []byte("module x\n")},
		"b/x_test.go":             file("func FuzzB(f *testing.F) {}\nfunc FuzzA(f *testing.F) {}\nfunc Fuzz(f *testing.F) {}\n"),
		"a/x_test.go":             file("func FuzzA(f *testing.F) {}\nfunc Fuzzy(f *testing.F) {}\nfunc FuzzT(t *testing.T) {}\nfunc TestFuzz(t *testing.T) {}\n"),
		"a/x.go":                  file("func FuzzProduct(f *testing.F) {}\n"),
		"a/testdata/x_test.go":    file("func FuzzData(f *testing.F) {}\n"),
		"tools/go.mod":            {Data: []byte("module tools\n")},
		"tools/x_test.go":         file("func FuzzOther(f *testing.F) {}\n"),
		".hidden/a_test.go":       file("func FuzzHidden(f *testing.F) {}\n"),
		"a/method_test.go":        file("type v struct{}\nfunc (v) FuzzM(f *testing.F) {}\n"),
		"a/two_params_test.go":    file("func FuzzTwo(f *testing.F, n int) {}\n"),
		"a/testdata/fuzz/FuzzA/1": {Data: []byte("go test fuzz v1\n")},
	}
	targets, err := find(tree, regexp.MustCompile(""))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, target := range targets {
		got = append(got, target.String())
	}
	if want := []string{"./a.FuzzA", "./b.Fuzz", "./b.FuzzA", "./b.FuzzB"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// The real go test over a small module of its own: one target holds, one breaks while it runs, one on its committed
// input, and one does not compile.
func TestFailuresAreNamedWithTheirInput(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go test -fuzz four times")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                        "module example.com/small\n\ngo 1.26\n",
		"good/x_test.go":                "package good\n\nimport \"testing\"\n\nfunc FuzzGood(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) {}) }\n",
		"bad/x_test.go":                 "package bad\n\nimport \"testing\"\n\nfunc FuzzBad(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) { if len(b) > 0 { t.Error(\"not empty\") } }) }\n",
		"old/x_test.go":                 "package old\n\nimport \"testing\"\n\nfunc FuzzOld(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) { if string(b) == \"old\" { t.Error(\"old\") } }) }\n",
		"old/testdata/fuzz/FuzzOld/old": "go test fuzz v1\n[]byte(\"old\")\n",
		"broken/x_test.go":              "package broken\n\nimport \"testing\"\n\nfunc FuzzBroken(f *testing.F) { nothing() }\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	var out strings.Builder
	err := run(context.Background(), []string{"-C", dir, "-time", "1s"}, &out)
	if err == nil || !strings.Contains(err.Error(), "3 of 4 targets failed") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		`./bad.FuzzBad .*FAILED on bad/testdata/fuzz/FuzzBad/[0-9a-f]{16}$`,
		`./broken.FuzzBroken .*FAILED without an input: exit status 1$`,
		`./good.FuzzGood .* [1-9][0-9]* execs  ok$`,
		`./old.FuzzOld .*FAILED on old/testdata/fuzz/FuzzOld/old$`,
	} {
		if len(lines) != 4 || !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("line %d is %q, want %s", i, lines, want)
		}
	}
	if !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("the error hides what the compiler said: %v", err)
	}
}

func TestNothingToRunIsAnError(t *testing.T) {
	var out strings.Builder
	if err := run(context.Background(), []string{"-C", t.TempDir()}, &out); err == nil {
		t.Error("no error")
	}
}
