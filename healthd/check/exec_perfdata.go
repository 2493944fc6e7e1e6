package check

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// maxPlugin is how much of a plugin's first line is looked at.
const maxPlugin = 4096

// parsePlugin takes the first line of a plugin's output apart: what it says, and its performance data.
//
//	OK - load average: 0.20|load1=0.200;5.000;10.000;0; load5=0.18
func parsePlugin(output []byte) (said, data string) {
	line, _, _ := bytes.Cut(bytes.TrimLeft(output[:min(len(output), maxPlugin)], "\r\n"), []byte("\n"))
	text, perf, _ := bytes.Cut(line, []byte("|"))
	return strings.TrimSpace(string(text)), strings.TrimSpace(string(perf))
}

// perfUnits are the units of performance data as outcomes have them, with what they are multiplied by.
var perfUnits = map[string]struct {
	unit  string
	times float64
}{
	"": {"count", 1}, "c": {"count", 1}, "%": {"percent", 1},
	"s": {"s", 1}, "ms": {"s", 1e-3}, "us": {"s", 1e-6}, "ns": {"s", 1e-9},
	"B": {"bytes", 1}, "KB": {"bytes", 1 << 10}, "MB": {"bytes", 1 << 20}, "GB": {"bytes", 1 << 30}, "TB": {"bytes", 1 << 40},
}

// parsePerfdata gives the first value: 'label'=value[unit];[warn];[fail];[min];[max], by the Monitoring Plugins Development Guidelines, 2.6.
// A label in quotes may hold spaces and, doubled, a quote. Not ok is no value, one of U (undetermined), or one of no known unit.
func parsePerfdata(data string) (value float64, unit string, ok bool) {
	if rest, quoted := strings.CutPrefix(data, "'"); quoted {
		end := strings.Index(strings.ReplaceAll(rest, "''", "__"), "'")
		if end < 0 {
			return 0, "", false
		}
		data = "label" + rest[end+1:]
	}
	first, _, _ := strings.Cut(data, " ")
	label, rest, found := strings.Cut(first, "=")
	if !found || label == "" {
		return 0, "", false
	}
	text, _, _ := strings.Cut(rest, ";")
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%")
	u, known := perfUnits[text[len(digits):]]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || strings.ContainsAny(digits, "_+") || math.IsInf(n*u.times, 0) {
		return 0, "", false
	}
	return n * u.times, u.unit, true
}
