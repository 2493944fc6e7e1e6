package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/check"
)

const (
	checksFile  = "../../../docs/checks.md"
	checksBegin = "<!-- kinds: made from healthd/check by UPDATE_DOCS=1 go test ./cmd/lbmedic/config -->\n"
	checksEnd   = "<!-- end of kinds -->\n"
)

// docs/checks.md describes every kind of check as it is, and each example there is one that can be made.
func TestDocsDescribeEveryKindOfCheck(t *testing.T) {
	text, err := os.ReadFile(checksFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), checksBegin)
	_, after, ended := strings.Cut(rest, checksEnd)
	if !ok || !ended {
		t.Fatalf("%s has no place for the kinds", checksFile)
	}
	var b strings.Builder
	for _, name := range kindNames() {
		kindSection(t, &b, name)
	}
	want := before + checksBegin + b.String() + checksEnd + after
	if want == string(text) {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatalf("%s is not what the table says; UPDATE_DOCS=1 go test ./cmd/lbmedic/config writes it", checksFile)
	}
	if err := os.WriteFile(checksFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func kindSection(t *testing.T, b *strings.Builder, name string) {
	k, err := check.Find(name)
	if err != nil || k.Doc == "" || k.Target.Doc == "" || k.Measurement == "" {
		t.Errorf("%s lacks a doc, a target's doc or a measurement: %v", name, err)
	}
	example := "health:\n  services:\n    web:\n      checks:\n        " + name + ": " + k.Example + "\n"
	if c, err := parse(name, []byte(example), environment("")); err != nil {
		t.Errorf("the example of %s: %v", name, err)
	} else if kind := c.Health.Services[0].Checks[0].Kind; kind != name {
		t.Errorf("the example of %s is a check of kind %s", name, kind)
	}
	impact := ""
	if k.Impact != healthd.Required {
		impact = ", `impact: " + k.Impact.String() + "` unless set otherwise"
	}
	fmt.Fprintf(b, "### %s\n\nPasses when %s%s.\n\n```\n%s: %s\n```\n\n| key | default | what |\n|---|---|---|\n", name, k.Doc, impact, name, k.Example)
	for _, f := range kindFields()[name] {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.key, shownDefault(&f.spec), strings.ReplaceAll(f.sentence(), "|", "\\|"))
	}
	b.WriteString("\n")
}
