package metrics

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lbmedic/lbmedic/healthd"
)

// tally counts what happens between two answers to Prometheus. Nothing is lost over a reload of what stays configured.
type tally struct {
	mu     sync.RWMutex
	checks map[key]*count
	words  map[string]*atomic.Uint64 // never changed
}

type key struct{ service, check string }

// count is of the probes of one check.
type count struct{ runs, failures, faults, measured, took atomic.Uint64 } // took in nanoseconds, of the measured ones

// The words that an answer of the agent-check begins with.
var words = []string{"up", "down", "drain", "maint", "ready", "none", "other"}

func newTally() *tally {
	t := &tally{checks: map[key]*count{}, words: map[string]*atomic.Uint64{}}
	for _, word := range words {
		t.words[word] = new(atomic.Uint64)
	}
	return t
}

func (t *tally) answered(line string) {
	word := wordOf(line)
	n, ok := t.words[word]
	if !ok {
		n = t.words["other"]
	}
	n.Add(1)
}

// wordOf is the word an answer counts as: what it has the balancer do. A weight of 0 is a drain, whatever the health beside it, and
// another weight says nothing of its own.
func wordOf(line string) string {
	said, _, _ := strings.Cut(line, "#") // a reason may hold any word
	fields := strings.Fields(said)
	if len(fields) == 0 {
		return "none"
	}
	if slices.Contains(fields, "0%") {
		return "drain"
	}
	if strings.HasSuffix(fields[0], "%") && len(fields) > 1 {
		return fields[1]
	}
	return fields[0]
}

// of is the count of one check, nil for one that the state does not know.
func (t *tally) of(service, check string, state func() *healthd.Snapshot) *count {
	k := key{service, check}
	t.mu.RLock()
	n := t.checks[k]
	t.mu.RUnlock()
	if n != nil || !configured(state(), k) {
		return n
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n = t.checks[k]; n == nil {
		n = &count{}
		t.checks[k] = n
	}
	return n
}

// count gives what there is of one check, zeros where nothing was counted yet.
func (t *tally) count(service, check string) *count {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := t.checks[key{service, check}]; n != nil {
		return n
	}
	return &count{}
}

// keep forgets the checks that are configured no more.
func (t *tally) keep(s *healthd.Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.checks {
		if !configured(s, k) {
			delete(t.checks, k)
		}
	}
}

func configured(s *healthd.Snapshot, k key) bool {
	svc, ok := s.Service(k.service)
	if ok {
		_, ok = svc.Check(k.check)
	}
	return ok
}

func (c *count) add(o healthd.Outcome) {
	c.runs.Add(1)
	switch o.Class.Status() {
	case healthd.Unknown:
		c.faults.Add(1)
		return
	case healthd.Fail:
		c.failures.Add(1)
	}
	c.measured.Add(1)
	c.took.Add(uint64(max(0, o.Took)))
}
