//go:build !lite

package check

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What only a full build has is what a lite one says it lacks.
func TestALiteBuildKnowsWhatItLacks(t *testing.T) {
	source, err := os.ReadFile("kinds_lite.go")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`absent = \[\]string\{(.*)\}`).FindStringSubmatch(string(source))
	if list == nil {
		t.Fatal("kinds_lite.go has no list of what is absent")
	}
	var said []string
	for name := range strings.SplitSeq(list[1], ",") {
		said = append(said, strings.Trim(name, ` "`))
	}
	slices.Sort(said)
	if want := slices.Sorted(maps.Keys(heavyKinds)); !slices.Equal(said, want) {
		t.Errorf("a lite build lacks %v, and says %v", want, said)
	}
}
