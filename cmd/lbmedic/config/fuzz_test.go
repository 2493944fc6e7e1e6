package config

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// Whatever the bytes are: no panic; either a configuration that reads back as itself, or mistakes with places inside
// the file, each one line.
func FuzzParse(f *testing.F) {
	archives, _ := filepath.Glob("testdata/mistakes/*.txtar")
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	for _, text := range []string{
		"", "\xef\xbb\xbfhealth:\r\n  http: off\r\n", "health: &a {services: *a}", "<<: *a", "a: &a\n  <<: *a\n", "- - - x", "\t\ta: b",
		"health:\n  services: {a: {checks: {b: {tcp: 'h:1', <<: [{rise: 3}, {fall: 4}]}}}}\n", "? a\n: b\n", "a: |\n  x\n y", "%YAML 1.2\n---\na", "...",
		"balancers: {a: {nginx: {}, sidecar: 'http://{address}/'}}", "é: ü\n日本: [x", "a: !!binary x", "\"a\": 'b", "a: >-\n\n\n", "{}", "[]", "~",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse("f", data, environment("/nowhere"))
		if err == nil {
			again, err := parse("f", []byte(c.YAML()), environment("/nowhere"))
			if err != nil {
				t.Fatalf("shown configuration is refused: %v\n%s", err, c.YAML())
			}
			if strings.Contains(string(data), "@") { // a password may have been hidden
				return
			}
			c.shown, again.shown = nil, nil
			if !reflect.DeepEqual(c, again) {
				t.Fatalf("%+v\nreads back as\n%+v", c, again)
			}
			return
		}
		var mistakes Errors
		if !errors.As(err, &mistakes) || len(mistakes) == 0 {
			t.Fatalf("error %T %v", err, err)
		}
		lines := strings.Split(strings.TrimPrefix(string(data), "\xef\xbb\xbf"), "\n")
		for _, m := range mistakes {
			if m.Line < 1 || m.Line > len(lines) || m.Col < 1 || m.Col > utf8.RuneCountInString(lines[m.Line-1])+1 {
				t.Fatalf("place outside the file of %d lines: %v", len(lines), m)
			}
			if strings.ContainsAny(m.Error(), "\n\r\x1b") {
				t.Fatalf("not one line: %q", m.Error())
			}
		}
		_ = mistakes.Report()
	})
}
