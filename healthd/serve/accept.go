package serve

import "strings"

// offer is a shape under one of its media types.
type offer struct {
	media  string   // type/subtype
	header []string // the Content-Type
	shape  shape
}

// The bounds of an Accept header: beyond them it counts as none. Browsers send about 150 bytes with 8 ranges.
const (
	maxAccept = 1 << 10
	maxRanges = 32
)

// negotiate gives the offer that the caller likes best, by RFC 9110, 12.5.1: the q of the range that names it most closely counts, and of
// equals the first offer wins, which is ours to choose. Where nothing fits, the first is given: whoever checks health must get an answer.
func negotiate(accept []string, offers []offer) *offer {
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == "" || accept[0] == "*/*") {
		return &offers[0]
	}
	best, most := 0, 0
	for i := range offers {
		q, ok := quality(accept, offers[i].media)
		if !ok {
			return &offers[0]
		}
		if q > most {
			best, most = i, q
		}
	}
	return &offers[best]
}

// quality is 0 to 1000 for one media type; ok is false where the header is beyond its bounds.
func quality(accept []string, media string) (q int, ok bool) {
	main, _, _ := strings.Cut(media, "/")
	length, ranges, closest := 0, 0, 0
	for _, line := range accept {
		if length += len(line); length > maxAccept {
			return 0, false
		}
		for one := range strings.SplitSeq(line, ",") {
			if ranges++; ranges > maxRanges {
				return 0, false
			}
			name, params, _ := strings.Cut(one, ";")
			close := closeness(strings.TrimSpace(name), main, media)
			if close == 0 || close < closest {
				continue
			}
			weight, valid := weightOf(params)
			if !valid {
				continue
			}
			if close > closest || weight > q {
				q = weight
			}
			closest = close
		}
	}
	return q, true
}

// closeness is 3 for the media type itself, 2 for all of its main type, 1 for all types, 0 for others.
func closeness(name, main, media string) int {
	switch {
	case strings.EqualFold(name, media):
		return 3
	case len(name) == len(main)+2 && strings.HasSuffix(name, "/*") && strings.EqualFold(name[:len(main)], main):
		return 2
	case name == "*/*":
		return 1
	}
	return 0
}

// weightOf reads q from the parameters of a range; 1000 where there is none. Other parameters are passed over.
func weightOf(params string) (q int, ok bool) {
	for one := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		if strings.EqualFold(key, "q") {
			return parseQ(value)
		}
	}
	return 1000, true
}

// parseQ reads 0 to 1 with at most three decimals, in thousandths.
func parseQ(text string) (q int, ok bool) {
	whole, decimals, _ := strings.Cut(text, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0, false
	}
	q = int(whole[0]-'0') * 1000
	for unit, rest := 100, decimals; rest != ""; unit, rest = unit/10, rest[1:] {
		if rest[0] < '0' || rest[0] > '9' {
			return 0, false
		}
		q += int(rest[0]-'0') * unit
	}
	return q, q <= 1000
}
