package metrics

import "testing"

// What was said counts by what it has HAProxy do.
func TestAnAnswerCountsAsWhatItDoes(t *testing.T) {
	for line, want := range map[string]string{
		"":                            "none",
		"up\n":                        "up",
		"up 50%\n":                    "up",
		"up 100%\n":                   "up",
		"up 0%\n":                     "drain",
		"0% down #app: refused\n":     "drain",
		"100% down #app: refused\n":   "down",
		"down #disk: 0% free\n":       "down",
		"drain\n":                     "drain",
		"maint\n":                     "maint",
		"ready up 100%\n":             "ready",
		"ready 50% down #app: slow\n": "ready",
		"fine\n":                      "other",
	} {
		tally := newTally()
		tally.answered(line)
		for word, n := range tally.words {
			if got := n.Load() == 1; got != (word == want) {
				t.Errorf("%q: counted as %s: %v, want %s", line, word, got, want)
			}
		}
	}
}
