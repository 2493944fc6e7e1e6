package config

// didYouMean is a hint to append to a message, empty where nothing is near.
func didYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return "; did you mean " + quote(near) + "?"
	}
	return ""
}

// Nearest is the known word that takes the fewest slips of the keyboard to reach: one for short words, a third of the
// length for long ones. Empty where none is that near.
func Nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", max(1, len(word)/3)+1
	for _, k := range known {
		if d := slips(word, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// slips is the number of letters left out, added, replaced or swapped with their neighbour between two words
// (optimal string alignment distance).
func slips(a, b string) int {
	s, t := []rune(a), []rune(b)
	var before, last []int
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(s); i++ {
		before, last, row = last, row, make([]int, len(t)+1)
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if lower(s[i-1]) == lower(t[j-1]) {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(t)]
}

// lower makes a wrong case no slip at all, and - as good as _.
func lower(r rune) rune {
	switch {
	case r == '-':
		return '_'
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	}
	return r
}
