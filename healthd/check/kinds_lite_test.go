//go:build lite

package check

import (
	"strings"
	"testing"
)

// A config that asks this build for a kind that it lacks is told so by name, and what to do.
func TestALiteBuildNamesTheKindsItLacks(t *testing.T) {
	if len(Absent()) == 0 {
		t.Fatal("a lite build lacks nothing")
	}
	for _, kind := range Absent() {
		_, err := New(kind, []string{"127.0.0.1:1"}, nil)
		if err == nil || !strings.Contains(err.Error(), "lite build") || !strings.Contains(err.Error(), kind) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
