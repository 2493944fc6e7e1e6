package healthd

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Class says what one probe met.
type Class uint8

// OwnFault is the zero value: a probe that could not be made says nothing about its target. It covers what the prober's own host
// lacks (local ports, file descriptors, memory, a name that does not resolve) and a probe that was cancelled.
const (
	OwnFault    Class = iota
	OK                // the right answer, in time
	Degraded          // the right answer, but beyond a warning threshold
	Refused           // the target turned the connection away: refused, reset, unreachable
	TimedOut          // no complete answer before the deadline
	WrongAnswer       // an answer, but not the one expected
)

var classNames = [...]string{OwnFault: "own fault", OK: "ok", Degraded: "degraded", Refused: "refused", TimedOut: "timeout", WrongAnswer: "wrong answer"}

// String is "own fault", "ok", "degraded", "refused", "timeout" or "wrong answer".
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class %d", c)
}

// MarshalText writes the words of String.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the words of String.
func (c *Class) UnmarshalText(text []byte) error {
	for i, name := range classNames {
		if string(text) == name {
			*c = Class(i)
			return nil
		}
	}
	return fmt.Errorf("class of outcome %q is not known", Line(string(text), 32))
}

// Status is what one outcome alone would mean: Pass, Warn, Fail, and Unknown for an own fault.
func (c Class) Status() Status {
	switch c {
	case OK:
		return Pass
	case Degraded:
		return Warn
	case Refused, TimedOut, WrongAnswer:
		return Fail
	default:
		return Unknown
	}
}

// Outcome is the result of one probe. Make it with NewOutcome, which bounds the detail.
type Outcome struct {
	At     time.Time     `json:"at"`   // when the probe started
	Took   time.Duration `json:"took"` // in JSON like "1.5ms"
	Class  Class         `json:"class"`
	Slow   Slowness      `json:"slow,omitempty"`   // by LatencyRule.Judge
	Detail string        `json:"detail,omitempty"` // what was observed: one line, see Line
	Value  float64       `json:"value,omitempty"`  // what was measured, where that is not the time it took; see Unit
	Unit   string        `json:"unit,omitempty"`   // of Value: percent, days, s, count, bytes, hops, /min; empty: nothing but the time was measured
}

// MarshalJSON writes how long it took as people read it.
func (o Outcome) MarshalJSON() ([]byte, error) {
	type plain Outcome
	return json.Marshal(struct {
		plain
		Took lasting `json:"took"`
	}{plain(o), lasting(o.Took)})
}

// UnmarshalJSON reads what MarshalJSON writes, and a number of nanoseconds.
func (o *Outcome) UnmarshalJSON(text []byte) error {
	type plain Outcome
	j := struct {
		*plain
		Took lasting `json:"took"`
	}{plain: (*plain)(o)}
	err := json.Unmarshal(text, &j)
	o.Took = time.Duration(j.Took)
	return err
}

// Measured gives the outcome with what was measured beside the time it took, to three decimals.
func (o Outcome) Measured(value float64, unit string) Outcome {
	o.Value, o.Unit = math.Round(value*1000)/1000, unit
	return o
}

// NewOutcome bounds and escapes the detail to one line of MaxDetail bytes.
func NewOutcome(at time.Time, took time.Duration, class Class, detail string) Outcome {
	return Outcome{At: at, Took: took, Class: class, Detail: Line(detail, MaxDetail)}
}
