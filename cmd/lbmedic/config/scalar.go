package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd/check"
)

// A scalar is a kind of single value.
type scalar struct {
	noun  string         // "a duration such as 2s or 250ms": follows "is not" in messages
	json  map[string]any // its JSON Schema
	words []string       // the allowed ones, where it is a choice
	bare  bool           // a number or a boolean: written without quotes

	// parse turns the text into a value, or says what is wrong with it in words that follow the text and do not
	// repeat it, since it may be a secret. Empty words mean: is not noun.
	parse func(text string) (value any, wrong string, ok bool)

	// show replaces what `config show` must not print; nil: nothing.
	show func(text string) string
}

const (
	second = time.Second
	day    = 24 * time.Hour
)

// interval is what checks use: long enough not to spin, short enough to mean something.
var interval = duration(10*time.Millisecond, day)

// duration is a Go duration between two bounds, both included.
func duration(least, most time.Duration) *scalar {
	return &scalar{
		noun: "a duration such as 2s or 250ms",
		json: map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`},
		parse: func(text string) (any, string, bool) {
			if _, err := strconv.ParseFloat(text, 64); err == nil && text != "0" {
				return nil, "has no unit; write a duration such as 2s or 250ms", false
			}
			d, err := time.ParseDuration(text)
			if err != nil {
				return nil, "", false
			}
			if d < least || d > most {
				return nil, fmt.Sprintf("is out of range; from %s to %s", brief(least), brief(most)), false
			}
			return d, "", true
		},
	}
}

// brief writes a duration without zero parts: 24h, not 24h0m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func integer(least, most int) *scalar {
	return &scalar{
		noun: "a whole number",
		json: map[string]any{"type": "integer", "minimum": least, "maximum": most},
		bare: true,
		parse: func(text string) (any, string, bool) {
			return inRange(text, least, most)
		},
	}
}

// percent is a share, written 85% or 85.
func percent(least, most int) *scalar {
	return &scalar{
		noun: "a percentage such as 85% or 85",
		json: map[string]any{"anyOf": []any{
			map[string]any{"type": "integer", "minimum": least, "maximum": most},
			map[string]any{"type": "string", "pattern": `^[0-9]{1,3}%$`},
		}},
		parse: func(text string) (any, string, bool) {
			return inRange(strings.TrimSuffix(text, "%"), least, most)
		},
	}
}

func inRange(text string, least, most int) (any, string, bool) {
	n, err := strconv.Atoi(text)
	if err != nil || text[0] == '+' {
		return nil, "", false
	}
	if n < least || n > most {
		return nil, fmt.Sprintf("is out of range; from %d to %d", least, most), false
	}
	return n, "", true
}

var boolean = &scalar{
	noun: "true or false",
	json: map[string]any{"type": "boolean"},
	bare: true,
	parse: func(text string) (any, string, bool) {
		return text == "true", "", text == "true" || text == "false"
	},
}

// words is a choice.
func words(choice ...string) *scalar {
	return &scalar{
		noun:  "one of " + strings.Join(choice, ", "),
		json:  map[string]any{"enum": choice},
		words: choice,
		parse: func(text string) (any, string, bool) {
			return text, "", slices.Contains(choice, text)
		},
	}
}

// instant is a moment, written as RFC 3339 or as a day, which begins at midnight UTC.
var instant = &scalar{
	noun: "a time such as 2026-12-31T18:00:00Z or 2026-12-31",
	json: map[string]any{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$`},
	parse: func(text string) (any, string, bool) {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if t, err := time.Parse(layout, text); err == nil {
				return t.UTC(), "", true
			}
		}
		return nil, "", false
	},
}

// network is an address or a network; an address is a network of one.
var network = &scalar{
	noun: "an address or a network such as 10.0.0.0/24",
	json: map[string]any{"type": "string", "minLength": 2},
	parse: func(text string) (any, string, bool) {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			return netip.PrefixFrom(addr, addr.BitLen()), "", true
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, "", false
		}
		if p != p.Masked() {
			return nil, "has bits beyond its mask; the network is " + p.Masked().String(), false
		}
		return p, "", true
	},
}

// statusCodes is one HTTP status code or a range of them.
var statusCodes = &scalar{
	noun: "a status code or range such as 200 or 200-399",
	json: map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 100, "maximum": 599},
		map[string]any{"type": "string", "pattern": `^[1-5][0-9]{2}(-[1-5][0-9]{2})?$`},
	}},
	parse: func(text string) (any, string, bool) {
		r, err := check.ParseStatusRange(text)
		if err != nil && strings.Trim(text, "0123456789-") == "" {
			return nil, "is out of range; from 100 to 599, the lower one first", false
		}
		return r, "", err == nil
	},
}

// number is a number with or without a fraction.
func number(least, most float64) *scalar {
	return &scalar{
		noun: "a number such as 1 or 0.5",
		json: map[string]any{"type": "number", "minimum": least, "maximum": most},
		bare: true,
		parse: func(text string) (any, string, bool) {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(n) || strings.ContainsAny(text, "xXpP_+") {
				return nil, "", false
			}
			if n < least || n > most {
				return nil, fmt.Sprintf("is out of range; from %g to %g", least, most), false
			}
			return n, "", true
		},
	}
}

// groupName is what a group of checks may be called: a label, like the names of checks.
var groupName = &scalar{
	noun:  "a name of up to 64 letters, digits, _, . and -",
	json:  map[string]any{"type": "string", "pattern": nameGrammar.String()},
	parse: func(text string) (any, string, bool) { return text, "", nameGrammar.MatchString(text) },
}
