package healthd

import (
	"fmt"
	"time"
)

// Quantile says which latency is judged.
type Quantile uint8

// Each is the zero value: every result on its own.
const (
	Each Quantile = iota
	P50           // the median of the last results
	P95
	P99
)

var quantileNames = [...]string{Each: "each", P50: "p50", P95: "p95", P99: "p99"}

// String is "each", "p50", "p95" or "p99".
func (q Quantile) String() string {
	if int(q) < len(quantileNames) {
		return quantileNames[q]
	}
	return fmt.Sprintf("quantile %d", q)
}

// ParseQuantile is the reverse of String.
func ParseQuantile(word string) (Quantile, error) {
	for q, name := range quantileNames {
		if word == name {
			return Quantile(q), nil
		}
	}
	return Each, fmt.Errorf("latency of %q is none of each, p50, p95, p99", Line(word, 32))
}

// LatencyRule says how long an answer may take. The zero value takes any.
//
// Slow is not dead: a slow answer warns, and lowers the weight of its service (see Pace), but fails nothing unless Required says so.
type LatencyRule struct {
	Warn     time.Duration // slower is slow; 0 is never
	Fail     time.Duration // slower is very slow, and a wrong answer where Required; 0 is never
	Of       Quantile      // what is held against them
	Required bool          // beyond Fail the check fails
}

// minResults is how many results a quantile must rest on to be judged: the first answer after a start is often a slow one.
const minResults = 16

func (r LatencyRule) set() bool { return r.Warn > 0 || r.Fail > 0 }

// Slowness says which threshold of its LatencyRule an outcome was beyond.
type Slowness uint8

// InTime is the zero value.
const (
	InTime Slowness = iota
	Slow
	VerySlow
)

var slownessNames = [...]string{InTime: "in time", Slow: "slow", VerySlow: "very slow"}

// String is "in time", "slow" or "very slow".
func (s Slowness) String() string {
	if int(s) < len(slownessNames) {
		return slownessNames[s]
	}
	return fmt.Sprintf("slowness %d", s)
}

// MarshalText writes the words of String.
func (s Slowness) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the words of String.
func (s *Slowness) UnmarshalText(text []byte) error {
	for i, name := range slownessNames {
		if string(text) == name {
			*s = Slowness(i)
			return nil
		}
	}
	return fmt.Errorf("slowness %q is none of in time, slow, very slow", Line(string(text), 32))
}

// Judge holds an outcome against the rule, given the latency of the last results with this one among them. What was not answered in time is
// very slow, and stays what it is; what was not answered rightly is only that.
func (r LatencyRule) Judge(o Outcome, l Latency) Outcome {
	switch {
	case !r.set():
		return o
	case o.Class == TimedOut:
		o.Slow = VerySlow
		return o
	case o.Class != OK && o.Class != Degraded, r.Of != Each && l.N < minResults:
		return o
	}
	took := r.measure(o, l)
	switch {
	case r.Fail > 0 && took > r.Fail:
		o.Slow = VerySlow
	case r.Warn > 0 && took > r.Warn:
		o.Slow = Slow
	default:
		return o
	}
	o.Class = Degraded
	said, limit := "warned", r.Warn
	if o.Slow == VerySlow {
		limit = r.Fail
		if r.Required {
			said, o.Class = "failed", WrongAnswer
		}
	}
	what := "after " + took.Round(100*time.Microsecond).String()
	if r.Of != Each {
		what = fmt.Sprintf("with %s of %s over %d results", r.Of, took.Round(100*time.Microsecond), l.N)
	}
	o.Detail = Line(fmt.Sprintf("%s %s, %s above %s", o.Detail, what, said, limit), MaxDetail)
	return o
}

// measure gives what is held against the thresholds.
func (r LatencyRule) measure(o Outcome, l Latency) time.Duration {
	switch r.Of {
	case P50:
		return l.P50
	case P95:
		return l.P95
	case P99:
		return l.P99
	default:
		return o.Took
	}
}
