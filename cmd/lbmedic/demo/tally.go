package demo

import (
	"slices"
	"sync"
	"time"
)

// Count is what became of the requests of one phase. Sent is the sum of OK, Errors and Lost.
type Count struct {
	Sent   int            `json:"sent"`
	OK     int            `json:"ok"`
	Errors int            `json:"errors"` // answered, but not with a status below 400
	Lost   int            `json:"lost"`   // no whole answer: refused, reset, timed out
	By     map[string]int `json:"by"`     // good answers by app and release, "app1 v1"
	Told   []string       `json:"told"`   // the first few different errors
	P99    float64        `json:"p99_ms"` // of the good answers, in milliseconds
}

// maxTold and maxTook bound what is kept of a phase: different errors, and durations.
const (
	maxTold = 3
	maxTook = 20000
)

// tally counts the requests of the load by phase.
type tally struct {
	mu     sync.Mutex
	phase  Phase
	counts map[Phase]*Count
	took   map[Phase][]time.Duration
}

func newTally(first Phase) *tally {
	return &tally{phase: first, counts: map[Phase]*Count{}, took: map[Phase][]time.Duration{}}
}

// enter begins a phase: requests sent from now on belong to it.
func (t *tally) enter(p Phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = p
}

// underWay is how many requests of other phases than the present one have no answer yet.
func (t *tally) underWay() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for p, c := range t.counts {
		if p != t.phase {
			n += c.Sent - c.OK - c.Errors - c.Lost
		}
	}
	return n
}

// sent counts one request and says to which phase it belongs.
func (t *tally) sent() Phase {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[t.phase]
	if c == nil {
		c = &Count{By: map[string]int{}}
		t.counts[t.phase] = c
	}
	c.Sent++
	return t.phase
}

// ended counts what became of a request of that phase.
func (t *tally) ended(p Phase, a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[p]
	switch {
	case a.err != nil:
		c.Lost++
		c.tell(a.err.Error())
	case a.status >= 400:
		c.Errors++
		c.tell(a.text)
	default:
		c.OK++
		c.By[a.by]++
		if len(t.took[p]) < maxTook {
			t.took[p] = append(t.took[p], a.took)
		}
	}
}

func (c *Count) tell(text string) {
	if len(c.Told) < maxTold && !slices.Contains(c.Told, text) {
		c.Told = append(c.Told, text)
	}
}

// example is one of the errors that users met, as the end of a sentence.
func (c Count) example() string {
	if len(c.Told) == 0 {
		return ""
	}
	return " (such as: " + c.Told[0] + ")"
}

// total gives the counts of all phases up to now.
func (t *tally) total() map[Phase]Count {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[Phase]Count{}
	for p, c := range t.counts {
		count := *c
		count.Told = slices.Clone(c.Told)
		count.By = map[string]int{}
		for name, n := range c.By {
			count.By[name] = n
		}
		if took := slices.Sorted(slices.Values(t.took[p])); len(took) > 0 {
			count.P99 = float64(took[(len(took)*99+99)/100-1].Microseconds()) / 1000
		}
		out[p] = count
	}
	return out
}
