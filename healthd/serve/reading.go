package serve

import (
	"math"
	"strconv"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// reading is what is told of one check, the same numbers in every shape.
type reading struct {
	Verdict string `json:"verdict"` // pass, warn, fail, unknown
	Impact  string `json:"impact"`
	Group   string `json:"group,omitempty"`
	// Value was measured in Unit by the last probe that measured anything: what the check is about, or else how long it took, in ms.
	Value  *float64 `json:"value,omitempty"`
	Unit   string   `json:"unit,omitempty"`
	P50    *float64 `json:"p50_ms,omitempty"`
	P95    *float64 `json:"p95_ms,omitempty"`
	P99    *float64 `json:"p99_ms,omitempty"`
	Time   string   `json:"time,omitempty"`   // when the last probe started
	Output string   `json:"output,omitempty"` // of the last probe, unless all is well
	Stale  bool     `json:"stale,omitempty"`
	Damped bool     `json:"damped,omitempty"`
}

func read(c *healthd.Check) reading {
	r := reading{Verdict: c.Verdict.Status.String(), Impact: c.Impact.String(), Group: c.Group, Stale: c.Stale, Damped: Damped(c)}
	if c.Latency.N > 0 {
		r.P50, r.P95, r.P99 = milliseconds(c.Latency.P50), milliseconds(c.Latency.P95), milliseconds(c.Latency.P99)
	}
	last := c.Verdict.Last
	if last.At.IsZero() {
		return r
	}
	r.Time = clock(last.At)
	if last.Class.Status() != healthd.Unknown {
		r.Value, r.Unit = observed(last)
	}
	if c.Verdict.Status != healthd.Pass || last.Class != healthd.OK {
		r.Output = last.Detail
	}
	return r
}

// observed is nil for what is no number: JSON has no word for it.
func observed(o healthd.Outcome) (*float64, string) {
	if o.Unit == "" {
		return milliseconds(o.Took), "ms"
	}
	if math.IsNaN(o.Value) || math.IsInf(o.Value, 0) {
		return nil, ""
	}
	value := o.Value
	return &value, healthd.Line(o.Unit, 32)
}

// milliseconds are exact to the microsecond.
func milliseconds(d time.Duration) *float64 {
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

// clock is exact to the millisecond.
func clock(t time.Time) string { return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano) }

// number is a reading for people, as JSON writes it.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// standing is what is told of one service beside its checks.
type standing struct {
	Verdict string   `json:"verdict"`
	Weight  int      `json:"weight"` // percent
	Since   string   `json:"since,omitempty"`
	Order   string   `json:"order"` // ready, drain, maint
	Stale   bool     `json:"stale,omitempty"`
	Damped  bool     `json:"damped,omitempty"` // one of its checks is
	Notes   []string `json:"notes,omitempty"`
}

func stand(svc *healthd.Service, a audience, most int) standing {
	s := standing{Verdict: svc.Status.String(), Weight: Weight(svc), Order: svc.Admin.State.String(), Stale: svc.Stale, Notes: about(svc).notes(a, most)}
	if !svc.Since.IsZero() {
		s.Since = clock(svc.Since)
	}
	for i := range svc.Checks {
		s.Damped = s.Damped || Damped(&svc.Checks[i])
	}
	return s
}

// Weight is that of a service in percent. None is written in a snapshot from before there were weights.
func Weight(svc *healthd.Service) int {
	if svc.Weight == 0 {
		return 100
	}
	return svc.Weight
}

// Damped reports whether a check flaps, so that its verdict does not improve yet.
func Damped(c *healthd.Check) bool { return c.Verdict.Flap.Damped }
