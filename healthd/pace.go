package healthd

// Pace is how slow one check has become, in steps of weight. It falls by one step after Fall slow outcomes in a row (two where they were
// very slow), and recovers by one after recovery times as many good ones in a row, so that noise around a threshold moves it seldom:
// within any n outcomes it rises at most n/(recovery*max(Rise, Fall)) times, rounded up, and falls at most maxSteps times more often than that.
type Pace struct {
	Steps uint8  `json:"steps,omitempty"` // how many steps down, 0 to 3
	Slow  uint16 `json:"slow,omitempty"`  // slow outcomes in a row
	Good  uint16 `json:"good,omitempty"`  // good ones in a row
}

const (
	stepPercent  = 25
	maxSteps     = 3
	recovery     = 4
	defaultFloor = 25
	fullWeight   = 100
)

// step takes one outcome that was measured. One that was neither slow nor good ends a row of good ones.
func (p Pace) step(o Outcome, rule Rule) Pace {
	if !rule.Latency.set() {
		return Pace{}
	}
	switch {
	case o.Slow != InTime:
		p.Good = 0
		if p.Slow++; int(p.Slow) < rule.Fall {
			return p
		}
		p.Slow, p.Steps = 0, min(p.Steps+uint8(o.Slow), maxSteps)
	case o.Class.Status() == Fail || p.Steps == 0:
		p.Good = 0
		p.Slow = 0
	default:
		p.Slow = 0
		if p.Good++; int(p.Good) >= recovery*max(rule.Rise, rule.Fall) {
			p.Good, p.Steps = 0, p.Steps-1
		}
	}
	return p
}

// weight is what a service is fit for, in percent: all while it has nothing to say, 25 less for each step of its slowest check, and 25
// less for each dependency of impact degrade that fails, but never less than the floor. A check that only informs has no say.
func (s *Service) weight() int {
	floor := s.Floor
	if floor < 1 || floor > fullWeight {
		floor = defaultFloor
	}
	slowest, failing := 0, 0
	for p := range parts(s.Checks) {
		if p.impact == Inform {
			continue
		}
		slowest = max(slowest, int(p.steps))
		if p.impact == Degrade && p.status == Fail {
			failing++
		}
	}
	return max(floor, fullWeight-stepPercent*(slowest+failing))
}
