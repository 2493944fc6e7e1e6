package runtime

import (
	"strconv"
	"time"
)

// parseAge reads how HAProxy writes ages for people: "7s", "1m2s", "2d3h", "0d00h01m07s". An empty text is 0.
func parseAge(s string) (time.Duration, bool) {
	var sum time.Duration
	for s != "" {
		i := 0
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		n, err := strconv.Atoi(s[:i])
		if err != nil || n > 1_000_000 || i == len(s) {
			return 0, false
		}
		unit, ok := ageUnits[s[i]]
		if !ok {
			return 0, false
		}
		sum += time.Duration(n) * unit
		s = s[i+1:]
	}
	return sum, true
}

var ageUnits = map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}

// parseInt reads a decimal number of at most 18 digits; an empty text is 0.
func parseInt(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, true
	}
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		// Counters are unsigned 64-bit numbers; those past 18 digits are rare enough for the slow way.
		n, err := strconv.ParseInt(string(b), 10, 64)
		return n, err == nil
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(b) {
		n = -n
	}
	return n, true
}
