package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	docsFile  = "../../../docs/config.md"
	docsBegin = "<!-- keys: made from the table in cmd/lbmedic/config by UPDATE_DOCS=1 go test ./cmd/lbmedic/config -->\n"
	docsEnd   = "<!-- end of keys -->\n"
)

// docs/config.md lists every key of the table as it is.
func TestDocsListEveryKey(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), docsBegin)
	_, after, ended := strings.Cut(rest, docsEnd)
	if !ok || !ended {
		t.Fatalf("%s has no place for the keys", docsFile)
	}
	want := before + docsBegin + keyTable() + docsEnd + after
	if want == string(text) {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatalf("%s is not what the table says; UPDATE_DOCS=1 go test ./cmd/lbmedic/config writes it", docsFile)
	}
	if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func keyTable() string {
	var b strings.Builder
	b.WriteString("| key | default | what |\n|---|---|---|\n")
	keyRows(&b, schema, "")
	return b.String()
}

func keyRows(b *strings.Builder, s *spec, path string) {
	if s.each != nil {
		keyRows(b, s.each, path+"NAME.")
	}
	if s.variants != nil {
		fmt.Fprintf(b, "| `%sKIND` | required | what makes the %s: one of %s; each with keys of its own, in [%s](%s) |\n",
			path, s.noun, strings.Join(s.oneOf, ", "), s.see, s.see)
	}
	for i := range s.fields {
		f := &s.fields[i]
		if f.partial {
			fmt.Fprintf(b, "| `%s%s` | | %s: the keys of `policy` |\n", path, f.key, f.sentence())
			continue
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", path, f.key, shownDefault(&f.spec), strings.ReplaceAll(f.sentence(), "|", "\\|"))
		keyRows(b, &f.spec, path+f.key+".")
	}
}

func shownDefault(s *spec) string {
	switch {
	case len(s.def) > 0:
		return "`" + strings.Join(s.def, ", ") + "`"
	case s.required:
		return "required"
	}
	return ""
}

// What the pages show as a configuration is one, without mistakes.
func TestExamplesInTheDocsAreValid(t *testing.T) {
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, page := range append(pages, "../../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(text), "```yaml\n") {
			body, _, _ := strings.Cut(block, "```")
			if i == 0 {
				continue
			}
			examples++
			if _, err := Parse(page, []byte(body)); err != nil {
				t.Errorf("%v\n%s", err, body)
			}
		}
	}
	if examples < 4 {
		t.Errorf("only %d examples were found", examples)
	}
}
