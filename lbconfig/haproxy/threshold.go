package haproxy

import (
	"math"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// everyBackend stands for the backend where a fetch names none that can be read. No backend has such a name.
const everyBackend = "*"

// thresholds finds what a line does with the number of usable servers: the comparisons of nbsrv, in `acl NAME nbsrv(b) lt 2`
// and in `… { nbsrv(b) lt 2 } …`, and every other use of nbsrv or srv_is_up, which counts as always crossed. loose is the
// index of the first word that uses nbsrv otherwise than in a comparison; -1 where there is none. A Backend may be empty,
// for the section's own, or everyBackend.
func thresholds(proxy string, args []string, place lbconfig.Place) (out []Threshold, loose int) {
	loose = -1
	skip := 1 // the keyword
	if args[0] == "acl" {
		skip = 2
	}
	condition, braces := false, false
	for i := skip; i < len(args); i++ {
		t := Threshold{Proxy: proxy, Place: place}
		switch word := args[i]; {
		case word == "{" || word == "!{":
			braces = true
			continue
		case word == "}":
			braces = false
			continue
		case word == "if" || word == "unless":
			condition = true
			continue
		case condition && !braces && !strings.Contains(word, "("): // the name of an ACL
			continue
		case args[0] == "acl" && i == 2:
			t.ACL = args[1]
			if found := comparisons(t, args[i:]); found != nil {
				out = append(out, found...)
				continue
			}
		case braces && strings.HasSuffix(args[i-1], "{"):
			if found := comparisons(t, args[i:i+expression(args[i:])]); found != nil {
				out = append(out, found...)
				continue
			}
		}
		for _, f := range fetches(args[i]) {
			t.Backend = f.backend
			out = append(out, t)
			if f.name == "nbsrv" && loose < 0 {
				loose = i
			}
		}
	}
	return out, loose
}

// expression is how many words stand before the closing brace.
func expression(args []string) int {
	for i, a := range args {
		if a == "}" {
			return i
		}
	}
	return len(args)
}

// fetch is one use of a sample fetch that depends on which servers are usable.
type fetch struct{ name, backend string }

// fetches finds nbsrv and srv_is_up anywhere in a word, as in "%[nbsrv(web),mul(2)]".
func fetches(word string) (out []fetch) {
	for _, name := range []string{"nbsrv", "srv_is_up"} {
		for rest, from := word, 0; ; {
			i := strings.Index(rest[from:], name)
			if i < 0 {
				break
			}
			start, end := from+i, from+i+len(name)
			from = end
			if start > 0 && fetchByte(rest[start-1]) || end < len(rest) && fetchByte(rest[end]) {
				continue // part of a longer name
			}
			backend, called := fetchArgument(rest[end:])
			if name == "srv_is_up" {
				if !called {
					continue
				}
				if own, _, ok := strings.Cut(backend, "/"); ok {
					backend = own
				} else if backend != everyBackend {
					backend = ""
				}
			}
			out = append(out, fetch{name, backend})
		}
	}
	return out
}

// fetchByte reports whether a letter can be part of the name of a fetch.
func fetchByte(b byte) bool {
	return b == '_' || b == '-' || b == '.' || '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
}

// fetchArgument reads "(NAME)…" behind the name of a fetch: empty where there is none at all, everyBackend where it is no plain
// name, as "()" left by a variable that is not set.
func fetchArgument(rest string) (name string, called bool) {
	rest, called = strings.CutPrefix(rest, "(")
	if !called {
		return "", false
	}
	name, _, closed := strings.Cut(rest, ")")
	name = strings.Trim(name, `"'\`)
	for i := range len(name) {
		closed = closed && (fetchByte(name[i]) || name[i] == ':' || name[i] == '/')
	}
	if !closed || name == "" {
		return everyBackend, true
	}
	return name, true
}

// comparisons reads "nbsrv(b) [flags] [operator] value…", where any of several values will do; nil where it is something else.
func comparisons(t Threshold, words []string) []Threshold {
	call, converters, _ := strings.Cut(words[0], ",")
	if name, _, _ := strings.Cut(call, "("); name != "nbsrv" {
		return nil
	}
	t.Backend, _ = fetchArgument(strings.TrimPrefix(call, "nbsrv"))
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
