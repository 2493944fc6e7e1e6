package haproxy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

var conditionCases = map[string]truth{
	"":                                      no,
	"0":                                     no,
	"1":                                     yes,
	"!1":                                    no,
	"defined(SET)":                          yes,
	"!defined(UNSET)":                       yes,
	"streq(a,a)":                            yes,
	"streq(a , a)":                          no,
	"strneq(a,b)":                           yes,
	"defined(UNSET) || 1":                   yes,
	"0 && 1 || 1":                           yes,
	"0 && (1 || 1)":                         no,
	"! defined(UNSET) && ( 1 && !0 )":       yes,
	"version_atleast(2.4-dev19)":            yes,
	"version_atleast(99.0)":                 no,
	"version_before(2.4)":                   no,
	"(streq(a b,a b))":                      yes,
	"streq(value,\"$SET\") && defined(SET)": yes,
}

func TestConditions(t *testing.T) {
	host := Host{Env: lookupTestEnv, Version: Release{Major: 2, Minor: 6, Patch: 12}}
	for text, want := range conditionCases {
		expanded := strings.Join(argsOf(text, lookupTestEnv), " ")
		if got := host.condition(expanded); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"feature(X)", "word", "1 &&", "(1", "defined(A", "openssl_version_atleast(1.1)", strings.Repeat("(", 5000), strings.Repeat("!", 5000)} {
		if got := host.condition(text); got != unsure {
			t.Errorf("%.40s: got %v, want unsure", text, got)
		}
	}
	if got := host.condition("feature(X) || 1"); got != yes {
		t.Errorf("a sure half decides: got %v", got)
	}
	if got := host.condition("0 && feature(X)"); got != no {
		t.Errorf("a sure half decides: got %v", got)
	}
}

func TestConditionsAgreeWithTheRealProgram(t *testing.T) {
	for _, version := range []string{"2.6", "3.0", "3.2"} { // 2.2 has no .if
		prog := peertest.Version(t, "haproxy", version)
		t.Run(prog.Name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			b.WriteString("global\n")
			for text := range conditionCases {
				b.WriteString(".if " + text + "\n.notice \"<" + strings.ReplaceAll(text, `"`, "~") + ">\"\n.endif\n")
			}
			text := strings.ReplaceAll(b.String(), "~$SET~", "~\\$SET~")
			path := filepath.Join(peertest.Dir(t), "conditions.cfg")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(prog.Path, "-c", "-f", path)
			cmd.Env = append(os.Environ(), "SET=value")
			out, _ := cmd.CombinedOutput() // no listener: exit status 2
			for text, want := range conditionCases {
				if got := strings.Contains(string(out), "<"+strings.ReplaceAll(text, `"`, "~")+">"); got != (want == yes) {
					t.Errorf("%s: the program says %v\n%s", text, got, out)
				}
			}
		})
	}
}

func TestReleasesAreOrdered(t *testing.T) {
	ordered := []string{"2.2.9-2+deb11u6", "2.4-dev18", "2.4-dev19", "2.4.0", "2.6.12-1+deb12u3", "3.0.11", "3.2.26-1"}
	for i := 1; i < len(ordered); i++ {
		a, okA := ParseRelease(ordered[i-1])
		b, okB := ParseRelease(ordered[i])
		if !okA || !okB || a.Compare(b) >= 0 || b.Compare(a) <= 0 {
			t.Errorf("%s (%v) is not before %s (%v)", ordered[i-1], a, ordered[i], b)
		}
	}
	for _, bad := range []string{"", "2", "x.y", "2.4-devx", "2.-1", "2.99999999999"} {
		if r, ok := ParseRelease(bad); ok {
			t.Errorf("%q was read as %v", bad, r)
		}
	}
}
