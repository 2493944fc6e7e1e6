package haproxy

import (
	"math"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// thresholds finds the comparisons of nbsrv in a line: in `acl NAME nbsrv(b) lt 2` and in `… { nbsrv(b) lt 2 } …`.
func thresholds(proxy string, args []string, place lbconfig.Place) []Threshold {
	var out []Threshold
	if args[0] == "acl" && len(args) > 2 {
		return comparisons(Threshold{Proxy: proxy, ACL: args[1], Place: place}, args[2:])
	}
	for i := 0; i+1 < len(args); i++ {
		if args[i] != "{" && args[i] != "!{" {
			continue
		}
		end := i + 1
		for end < len(args) && args[end] != "}" {
			end++
		}
		if end > i+1 {
			out = append(out, comparisons(Threshold{Proxy: proxy, Place: place}, args[i+1:end])...)
		}
		i = end
	}
	return out
}

// comparisons reads "nbsrv(b) [flags] [operator] value…", where any of several values will do.
func comparisons(t Threshold, words []string) []Threshold {
	fetch, converters, _ := strings.Cut(words[0], ",")
	name, backend, _ := strings.Cut(fetch, "(")
	if name != "nbsrv" {
		return nil
	}
	t.Backend = strings.TrimSuffix(backend, ")")
	if t.Backend == "" {
		t.Backend = t.Proxy
	}
	words = words[1:]
	for len(words) > 1 && words[0] == "-m" && words[1] == "int" {
		words = words[2:]
	}
	operator := "eq"
	if len(words) > 0 {
		switch words[0] {
		case "lt", "le", "eq", "ge", "gt":
			operator, words = words[0], words[1:]
		}
	}
	if converters != "" || len(words) == 0 || strings.HasPrefix(words[0], "-") {
		return []Threshold{t}
	}
	var out []Threshold
	for _, w := range words {
		t := t
		var ok bool
		if t.Low, t.High, ok = valueRange(w); ok {
			t.Operator = operator
		}
		out = append(out, t)
	}
	return out
}

// valueRange reads "2", "2:4", ":4" or "2:".
func valueRange(s string) (low, high int, ok bool) {
	from, to, ranged := strings.Cut(s, ":")
	if !ranged {
		to = from
	}
	low, high = 0, math.MaxInt
	var errLow, errHigh error
	if from != "" || !ranged {
		low, errLow = strconv.Atoi(from)
	}
	if to != "" {
		high, errHigh = strconv.Atoi(to)
	}
	return low, high, errLow == nil && errHigh == nil
}
