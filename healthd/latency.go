package healthd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// RingSize is how many results a Latency rests on at most.
const RingSize = 128

// Latency is how long the last answers took: at most RingSize of them. The zero value knows nothing.
//
// Answers that were right count, and those that did not come before the deadline, as long as that was. Own faults do not, nor do
// refusals and wrong answers: they come quickly, and would make a dead target look fast.
type Latency struct {
	N             int // how many results it rests on
	P50, P95, P99 time.Duration
}

// latencyJSON is how a person reads a Latency: {"n":128,"p50":"1.2ms","p95":"3ms","p99":"9.25ms"}.
type latencyJSON struct {
	N   int     `json:"n"`
	P50 lasting `json:"p50,omitzero"`
	P95 lasting `json:"p95,omitzero"`
	P99 lasting `json:"p99,omitzero"`
}

// MarshalJSON writes durations as people read them.
func (l Latency) MarshalJSON() ([]byte, error) {
	return json.Marshal(latencyJSON{l.N, lasting(l.P50), lasting(l.P95), lasting(l.P99)})
}

// UnmarshalJSON reads what MarshalJSON writes, and numbers of nanoseconds.
func (l *Latency) UnmarshalJSON(text []byte) error {
	var j latencyJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*l = Latency{j.N, time.Duration(j.P50), time.Duration(j.P95), time.Duration(j.P99)}
	return nil
}

// lasting is a duration that JSON has as "1.5s".
type lasting time.Duration

func (d lasting) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *lasting) UnmarshalJSON(text []byte) error {
	var n int64
	if json.Unmarshal(text, &n) == nil {
		*d = lasting(n)
		return nil
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	took, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q is not like 1.5s", Line(s, 32))
	}
	*d = lasting(took)
	return nil
}

// Ring holds how long the last RingSize answers took, in 4 bytes each and no more than were needed so far. The zero value is empty.
type Ring struct {
	micros []uint32
	oldest uint8 // once it is full
}

// Add takes one outcome, if it says how long an answer takes. See Latency.
func (r *Ring) Add(o Outcome) {
	if o.Class != OK && o.Class != Degraded && o.Class != TimedOut {
		return
	}
	took := uint32(min(max(o.Took.Microseconds(), 0), 1<<32-1))
	if len(r.micros) < RingSize {
		r.micros = append(r.micros, took)
		return
	}
	r.micros[r.oldest] = took
	r.oldest = (r.oldest + 1) % RingSize
}

// Latency gives the percentiles by nearest rank: each is a time that one answer really took.
func (r *Ring) Latency() Latency {
	var sorted [RingSize]uint32
	n := copy(sorted[:], r.micros)
	if n == 0 {
		return Latency{}
	}
	slices.SortFunc(sorted[:n], cmp.Compare[uint32])
	at := func(percent int) time.Duration {
		return time.Duration(sorted[(n*percent+99)/100-1]) * time.Microsecond
	}
	return Latency{N: n, P50: at(50), P95: at(95), P99: at(99)}
}
