package haproxy

import (
	"math"
	"strconv"
	"time"
)

var timeUnits = map[string]time.Duration{"us": time.Microsecond, "": time.Millisecond, "ms": time.Millisecond,
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// ParseDuration reads HAProxy's time format: a number and one of us, ms, s, m, h, d; without a unit the number counts
// milliseconds. "1m30s" is not in that format.
func ParseDuration(s string) (time.Duration, bool) {
	digits := len(s)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			digits = i
			break
		}
	}
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	unit, ok := timeUnits[s[digits:]]
	if err != nil || !ok || n > math.MaxInt64/int64(unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
