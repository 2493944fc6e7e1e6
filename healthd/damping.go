package healthd

import (
	"math"
	"time"
)

// Damping holds a verdict that flaps at its worse status, in the manner of BGP route flap damping (RFC 2439): each turn from good to bad
// adds 1 to a penalty that decays. The zero value damps nothing. It is for dependencies and apps that come and go, not for whole farms: what makes all
// instances flap at once holds them all.
//
// Within any time W a damped verdict improves at most 2 + (Suppress+1)*(1 + W*ln 2/HalfLife) + W/MaxSuppress times.
type Damping struct {
	Suppress    float64       // a penalty above it holds the worse status; 0 turns damping off
	Reuse       float64       // a penalty below it ends that; half of Suppress
	HalfLife    time.Duration // in which the penalty halves; 1 m
	MaxSuppress time.Duration // for which a status is held at most; 4 times HalfLife
}

func (d Damping) orDefault() Damping {
	if d.Reuse <= 0 || d.Reuse > d.Suppress {
		d.Reuse = d.Suppress / 2
	}
	if d.HalfLife <= 0 {
		d.HalfLife = time.Minute
	}
	if d.MaxSuppress <= 0 {
		d.MaxSuppress = 4 * d.HalfLife
	}
	return d
}

// Flap is what Damping knows of a verdict. The zero value never flapped.
type Flap struct {
	Penalty float64   `json:"penalty"`
	At      time.Time `json:"at"`               // when Penalty was so much
	Damped  bool      `json:"damped,omitempty"` // the status is held while others say it is better
	Until   time.Time `json:"until,omitzero"`   // when that ends at the latest
	Down    bool      `json:"down,omitempty"`   // the last move was for the worse, so that a descent by two steps is one turn
}

// forgotten is the penalty that is as good as none.
const forgotten = 0.01

// step takes a verdict's move from one status to another, or to the same, at a time.
func (f Flap) step(from, to Status, at time.Time, d Damping) Flap {
	if d.Suppress <= 0 {
		return Flap{}
	}
	d = d.orDefault()
	f.Penalty, f.At = f.decayed(at, d.HalfLife), at
	turned := from != Unknown && to > from && !f.Down
	if from != to {
		f.Down = from != Unknown && to > from
	}
	if turned {
		f.Penalty = min(f.Penalty+1, 4*max(d.Suppress, 1))
	}
	if f.Damped && (f.Penalty < d.Reuse || !pending(f.Until, at, d.MaxSuppress)) {
		f.Damped, f.Until = false, time.Time{}
	}
	if turned && f.Penalty > d.Suppress && !f.Damped {
		f.Damped, f.Until = true, at.Add(d.MaxSuppress)
	}
	if f.Penalty < forgotten {
		return Flap{Down: f.Down}
	}
	return f
}

// decayed is the penalty at a later time. Whatever a file says, it is a number, and a clock that was set back decays nothing.
func (f Flap) decayed(at time.Time, halfLife time.Duration) float64 {
	if !(f.Penalty > 0) {
		return 0
	}
	halves := max(0, at.Sub(f.At).Seconds()/halfLife.Seconds())
	return min(f.Penalty, math.MaxInt32) * math.Exp2(-halves)
}

// pending reports whether until is still to come, and not further off than it can be: then the clock was set back, or the rule changed.
func pending(until, now time.Time, limit time.Duration) bool {
	left := until.Sub(now)
	return left > 0 && left <= limit
}
