package healthd

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestLineEscapes(t *testing.T) {
	for text, want := range map[string]string{
		"plain text, as it is #;\\":   "plain text, as it is #;\\",
		"two\r\nlines\t":              `two\r\nlines\t`,
		"\x1b[31mred\x00":             `\x1b[31mred\x00`,
		"caf\u00e9 \u2028 \U0001f600": `caf\u{e9} \u{2028} \u{1f600}`,
		"broken \xff\xc3 utf8":        `broken \xff\xc3 utf8`,
	} {
		if got := Line(text, 100); got != want {
			t.Errorf("Line(%q) = %q, want %q", text, got, want)
		}
	}
	if got := Line("123456789", 8); got != "12345..." {
		t.Errorf("cut to %q", got)
	}
	if got := Line("12345\n89", 8); got != "12345..." {
		t.Errorf("cut inside an escape: %q", got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("down #x\nset server b/s state drain", 40)
	f.Add("\xff\xfe\x00", 5)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		holdsLine(t, text, limit%300)
	})
}

func TestLineIsOneBoundedPrintableLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		holdsLine(t, rapid.String().Draw(t, "text"), rapid.IntRange(-1, 60).Draw(t, "limit"))
	})
}

func holdsLine(t interface{ Errorf(string, ...any) }, text string, limit int) {
	got := Line(text, limit)
	if len(got) > max(limit, 0) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("Line(%q, %d) = %q", text, limit, got)
	}
	if again := Line(got, limit); again != got {
		t.Errorf("Line twice: %q, then %q", got, again)
	}
}
