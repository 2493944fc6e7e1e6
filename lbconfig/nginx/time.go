package nginx

import (
	"strings"
	"time"
)

// timeUnits are those of nginx's times, largest first: they must come in this order, each at most once. A month is 30 days.
var timeUnits = []struct {
	name string
	is   time.Duration
}{
	{"y", 365 * 24 * time.Hour}, {"M", 30 * 24 * time.Hour}, {"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour},
	{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond},
}

// ParseTime reads a time as nginx writes it: "90", "1m30s", "1h 30m", "500ms". A bare number is seconds. It is false
// for anything else, and for what a time.Duration (292 years) cannot hold.
func ParseTime(s string) (time.Duration, bool) {
	var total time.Duration
	if s == "" {
		return 0, false
	}
	for unit := 0; s != ""; {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if digits == 0 || digits > 10 {
			return 0, false
		}
		var n time.Duration
		for _, ch := range s[:digits] {
			n = n*10 + time.Duration(ch-'0')
		}
		s = s[digits:]
		letters := len(s) - len(strings.TrimLeft(s, "yMwdhms"))
		name := s[:letters]
		if name == "" {
			name = "s"
		}
		for unit < len(timeUnits) && timeUnits[unit].name != name {
			unit++
		}
		if unit == len(timeUnits) || n > (1<<63-1-total)/timeUnits[unit].is {
			return 0, false
		}
		total += n * timeUnits[unit].is
		unit++
		s = strings.TrimLeft(s[letters:], " ")
	}
	return total, true
}
