package check

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// pressure is the share of the last 10 s, in percent, in which some task, or all of them, waited for a resource.
type pressure struct {
	some, full float64
	hasFull    bool // the kernel tells full of every resource since 5.13 only
}

// parsePressure reads a file of pressure stall information: Documentation/accounting/psi.rst of Linux.
//
//	some avg10=1.35 avg60=0.70 avg300=0.57 total=209333884
//	full avg10=0.00 avg60=0.00 avg300=0.03 total=107539612
func parsePressure(raw []byte) (p pressure, err error) {
	hasSome := false
	for line := range bytes.Lines(raw) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		text, ok := strings.CutPrefix(fields[1], "avg10=")
		n, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil || !(n >= 0 && n <= 100) {
			return pressure{}, fmt.Errorf("pressure %q is no average of percent", fields[1])
		}
		switch fields[0] {
		case "some":
			p.some, hasSome = n, true
		case "full":
			p.full, p.hasFull = n, true
		}
	}
	if !hasSome {
		return pressure{}, errors.New("pressure has no line \"some\"")
	}
	return p, nil
}

// pressureRule is what the pressure of one resource is held against.
type pressureRule struct {
	resource   string // as people say it
	some, full limits
}

// pressureOptions are the keys of a pressureRule.
var pressureOptions = []Option{
	{Key: "some_warn", Doc: "warns above this share of 10 s in which some task waited for it (PSI some avg10)", Type: Percent},
	{Key: "some_fail", Doc: "fails above it", Type: Percent},
	{Key: "full_warn", Doc: "warns above this share of 10 s in which all tasks waited for it (PSI full avg10)", Type: Percent},
	{Key: "full_fail", Doc: "fails above it", Type: Percent},
}

func pressureRuleOf(s Settings, resource string) (r pressureRule, err error) {
	var err2 error
	r.resource = resource
	r.some, err = limitsOf(s, "some_warn", "some_fail", number)
	r.full, err2 = limitsOf(s, "full_warn", "full_fail", number)
	return r, errors.Join(err, err2)
}

// judge reads the file and says what was found; nothing where nothing was asked.
func (r pressureRule) judge(path string) []finding {
	if !r.some.set() && !r.full.set() {
		return nil
	}
	raw, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EOPNOTSUPP) {
		return []finding{unseen(fmt.Errorf("this kernel tells no pressure in %s; boot it with psi=1", path))}
	}
	if err != nil {
		return []finding{unseen(err)}
	}
	p, err := parsePressure(raw)
	if err != nil {
		return []finding{unseen(fmt.Errorf("%s: %w", path, err))}
	}
	var found []finding
	if r.some.set() {
		found = append(found, r.some.judge(p.some, fmt.Sprintf("tasks waited for %s %s of 10s", r.resource, percent(p.some)), percent))
	}
	if r.full.set() && p.hasFull {
		found = append(found, r.full.judge(p.full, fmt.Sprintf("all tasks waited for %s %s of 10s", r.resource, percent(p.full)), percent))
	}
	return found
}
