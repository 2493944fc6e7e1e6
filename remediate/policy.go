package remediate

import "time"

// Mode says whether automation acts.
type Mode string

// The modes.
const (
	Observe Mode = "observe" // decide and explain, never act; the default
	Enforce Mode = "enforce" // act
)

// Policy bounds what automation may do in one backend. DefaultPolicy gives the defaults; the zero value allows nothing.
type Policy struct {
	Mode              Mode
	MinServers        int           // servers that always stay in service; 0 means 1, or 2 from three servers up
	MinPercent        int           // percent of the configured servers that always stay in service
	MaxEjectedPercent int           // percent of the configured servers that automation may have out; at least one
	AllowMapHash      bool          // take from a backend whose map-based hash moves healthy servers' keys
	EvidenceMaxAge    time.Duration // older evidence is no evidence
	ObservationMaxAge time.Duration // an older observation of the balancer decides nothing
	TakesPerWindow    int           // takes of automation in one backend within Window
	FleetPerWindow    int           // takes of automation in all backends of this controller within Window
	Window            time.Duration
	HoldDown          time.Duration // how long a server that is taken again within FlapMemory stays out; doubles each time
	FlapMemory        time.Duration // how long a take counts against the next
}

// DefaultPolicy is what holds where the config says nothing. Capacity figures are those of invariant S1.
func DefaultPolicy() Policy {
	return Policy{
		Mode:              Observe,
		MinPercent:        50,
		MaxEjectedPercent: 10,
		EvidenceMaxAge:    45 * time.Second,
		ObservationMaxAge: 5 * time.Second,
		TakesPerWindow:    2,
		FleetPerWindow:    10,
		Window:            30 * time.Second,
		HoldDown:          10 * time.Second,
		FlapMemory:        10 * time.Minute,
	}
}

// maxHoldDown bounds the doubling of Policy.HoldDown.
const maxHoldDown = 5 * time.Minute

// holdDown is how long a server stays out whose earlier takes are given, newest last; the first take costs nothing.
func (p Policy) holdDown(taken []time.Time, now time.Time) time.Duration {
	recent := 0
	for _, t := range taken {
		if within(t, p.FlapMemory, now) {
			recent++
		}
	}
	if recent < 2 || p.HoldDown <= 0 {
		return 0
	}
	d := p.HoldDown
	for range recent - 2 {
		if d *= 2; d >= maxHoldDown {
			return maxHoldDown
		}
	}
	return d
}
