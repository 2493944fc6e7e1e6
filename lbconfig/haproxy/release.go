package haproxy

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Release is a version of HAProxy. The zero value means that it is not known.
type Release struct {
	Major, Minor, Patch int
	Dev                 int // 19 in "2.4-dev19", which comes before 2.4.0; 0 in a release
}

// ParseRelease reads the beginning of "2.6.12-1+deb12u3" or "2.4-dev19".
func ParseRelease(s string) (Release, bool) {
	numbers, rest, _ := strings.Cut(s, "-")
	parts := strings.Split(numbers, ".")
	if len(parts) < 2 {
		return Release{}, false
	}
	var n [3]int
	for i := range min(len(parts), 3) {
		v, err := strconv.ParseUint(parts[i], 10, 16)
		if err != nil {
			return Release{}, false
		}
		n[i] = int(v)
	}
	r := Release{Major: n[0], Minor: n[1], Patch: n[2]}
	if dev, ok := strings.CutPrefix(rest, "dev"); ok {
		dev, _, _ = strings.Cut(dev, "-")
		v, err := strconv.ParseUint(dev, 10, 16)
		if err != nil {
			return Release{}, false
		}
		r.Dev = int(v)
	}
	return r, true
}

// Known reports whether r is a version at all.
func (r Release) Known() bool { return r != Release{} }

// Compare is negative where r is older than other.
func (r Release) Compare(other Release) int {
	if c := cmp.Or(cmp.Compare(r.Major, other.Major), cmp.Compare(r.Minor, other.Minor), cmp.Compare(r.Patch, other.Patch)); c != 0 {
		return c
	}
	return cmp.Compare(r.devOrder(), other.devOrder())
}

func (r Release) devOrder() int {
	if r.Dev == 0 {
		return 1 << 16
	}
	return r.Dev
}

func (r Release) String() string {
	if r.Dev > 0 {
		return fmt.Sprintf("%d.%d-dev%d", r.Major, r.Minor, r.Dev)
	}
	return fmt.Sprintf("%d.%d.%d", r.Major, r.Minor, r.Patch)
}
