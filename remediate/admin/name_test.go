package admin

import (
	"strings"
	"testing"
)

// FuzzParseTarget: what is taken reads back as it was written, and holds nothing that could mean more than a name.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"web/s0", "edge/web/s0", "web", "web/10.0.0.5:8080", "internal/app/[::1]:80", "*", "a//b", "..", "a/b\n", "a/b;c", "é/b", "a/b/c/d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		target, err := ParseTarget(name)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Errorf("the message carries what was typed as it is: %q", err)
			}
			return
		}
		if target.String() != name {
			t.Errorf("%q reads back as %q", name, target)
		}
		if strings.ContainsAny(name, "\n\r\x00;\\ *?#@<>\"'") || len(name) > maxName {
			t.Errorf("%q was taken", name)
		}
	})
}
