package runtime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// State is a server's admin state as `set server … state` names it.
type State uint8

// The admin states.
const (
	Ready State = iota + 1
	Drain
	Maint
)

var stateWords = []string{"", "ready", "drain", "maint"}

func (s State) String() string { return word(stateWords, int(s)) }

// Health is a forced health.
type Health uint8

// The forced healths.
const (
	Up Health = iota + 1
	Stopping
	Down
)

var healthWords = []string{"", "up", "stopping", "down"}

func (h Health) String() string { return word(healthWords, int(h)) }

// MaxWeight is the largest weight of a server.
const MaxWeight = 256

// Weight is an absolute weight (0 to 256) or a percentage of the initial weight (0 to 100 %; HAProxy rounds the
// product down, so 50 % of an initial weight of 1 is 0). The zero value is no weight: use Absolute and Percent.
type Weight struct {
	value   int // one more than the weight, so that the zero value is no weight
	percent bool
}

// Absolute is the weight n.
func Absolute(n int) Weight { return Weight{value: n + 1} }

// Percent is n % of the initial weight.
func Percent(n int) Weight { return Weight{value: n + 1, percent: true} }

// Of is the weight that HAProxy makes of w for a server of that initial weight.
func (w Weight) Of(initial int) int {
	if w.percent {
		return min(initial*(w.value-1)/100, MaxWeight)
	}
	return w.value - 1
}

func (w Weight) String() string {
	text, err := w.encode()
	if err != nil {
		return "no weight"
	}
	return text
}

func (w Weight) encode() (string, error) {
	n, most, unit := w.value-1, MaxWeight, ""
	if w.percent {
		most, unit = 100, "%"
	}
	if n < 0 || n > most {
		return "", newFault(ErrName, nil, "the weight %d%s lies outside 0 to %d%s", n, unit, most, unit)
	}
	return strconv.Itoa(n) + unit, nil
}

// place is one typed argument: how it is written, read and emptied.
type place struct {
	optional bool
	encode   func(Command) (string, error)
	decode   func(string, *Command) bool
	clear    func(*Command)
}

var places = map[string]place{
	"{server}":  {encode: encodeServer, decode: decodeServer, clear: func(c *Command) { c.Backend, c.Server = "", "" }},
	"[backend]": {optional: true, encode: encodeBackend, decode: decodeBackend, clear: func(c *Command) { c.Backend = "" }},
	"{state}": {
		encode: func(c Command) (string, error) { return encodeWord(stateWords, int(c.State), "state") },
		decode: func(s string, c *Command) bool {
			c.State = State(slices.Index(stateWords, s))
			return c.State > 0 && c.State <= Maint
		},
		clear: func(c *Command) { c.State = 0 },
	},
	"{health}": {
		encode: func(c Command) (string, error) { return encodeWord(healthWords, int(c.Health), "health") },
		decode: func(s string, c *Command) bool {
			c.Health = Health(slices.Index(healthWords, s))
			return c.Health > 0 && c.Health <= Down
		},
		clear: func(c *Command) { c.Health = 0 },
	},
	"{weight}":  {encode: func(c Command) (string, error) { return c.Weight.encode() }, decode: decodeWeight, clear: func(c *Command) { c.Weight = Weight{} }},
	"{pointer}": {encode: encodePointer, decode: decodePointer, clear: func(c *Command) { c.Pointer = 0 }},
}

func encodeServer(c Command) (string, error) {
	if err := CheckName(c.Backend); err != nil {
		return "", fmt.Errorf("backend: %w", err)
	}
	if err := CheckName(c.Server); err != nil {
		return "", fmt.Errorf("server: %w", err)
	}
	return c.Backend + "/" + c.Server, nil
}

func decodeServer(s string, c *Command) (ok bool) {
	c.Backend, c.Server, ok = strings.Cut(s, "/")
	return ok
}

func encodeBackend(c Command) (string, error) {
	if c.Backend == "" {
		return "", nil
	}
	if err := CheckName(c.Backend); err != nil {
		return "", fmt.Errorf("backend: %w", err)
	}
	return c.Backend, nil
}

func decodeBackend(s string, c *Command) bool {
	c.Backend = s
	return s != ""
}

func decodeWeight(s string, c *Command) bool {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(digits)
	c.Weight = Weight{value: n + 1, percent: percent}
	return err == nil
}

func encodePointer(c Command) (string, error) {
	if c.Pointer == 0 {
		return "", newFault(ErrName, nil, "no session is named")
	}
	return "0x" + strconv.FormatUint(c.Pointer, 16), nil
}

func decodePointer(s string, c *Command) bool {
	digits, ok := strings.CutPrefix(s, "0x")
	n, err := strconv.ParseUint(digits, 16, 64)
	c.Pointer = n
	return ok && err == nil
}

func encodeWord(words []string, i int, what string) (string, error) {
	if i < 1 || i >= len(words) {
		return "", newFault(ErrName, nil, "%s %d does not exist", what, i)
	}
	return words[i], nil
}

func word(words []string, i int) string {
	if i < 1 || i >= len(words) {
		return "none"
	}
	return words[i]
}
