package healthd

import "time"

// Rule says what makes of outcomes a verdict. A zero field means its default.
type Rule struct {
	Rise     int           // better outcomes until a verdict improves; 2
	Fall     int           // worse outcomes until a verdict worsens; 3
	Latency  LatencyRule   // how long an answer may take; see LatencyRule.Judge
	HoldDown time.Duration // for which a status that became worse stays at least; 0
	Damping  Damping       // of a verdict that flaps; none
	Grace    time.Duration // from Begin until failures count, unless there was a good answer; 0
}

// DefaultRule is rise 2, fall 3, as in HAProxy.
var DefaultRule = Rule{Rise: 2, Fall: 3}

func (r Rule) orDefault() Rule {
	if r.Rise < 1 {
		r.Rise = DefaultRule.Rise
	}
	if r.Fall < 1 {
		r.Fall = DefaultRule.Fall
	}
	return r
}

// Verdict is what is held about one check. The zero value knows nothing.
type Verdict struct {
	Status   Status    `json:"status"`
	Since    time.Time `json:"since"`            // when Status became so
	Measured time.Time `json:"measured"`         // the last outcome that was no own fault
	Last     Outcome   `json:"last"`             // own faults included
	Raw      Status    `json:"raw,omitzero"`     // what rise and fall alone say: better than Status while that is held
	Held     time.Time `json:"held,omitzero"`    // until then Status does not improve, for it became worse lately
	Grace    time.Time `json:"grace,omitzero"`   // until then failures do not count
	Failing  time.Time `json:"failing,omitzero"` // when the first of the failures in a row was known, of which the last outcome is one
	Flap     Flap      `json:"flap,omitzero"`
	Streak   Streak    `json:"streak"`
	Pace     Pace      `json:"pace,omitzero"` // how slow it has become
}

// Begin gives the verdict that a run begins with at now: failures do not count for as long as the rule's grace lasts. One that passed or warned before
// the run has had its good answer, and has no grace: it would serve what it cannot know for all of it.
func (v Verdict) Begin(rule Rule, now time.Time) Verdict {
	v.Grace = time.Time{}
	if rule.Grace > 0 && v.Status != Pass && v.Status != Warn {
		v.Grace = now.Add(rule.Grace)
	}
	return v
}

// Step gives the verdict after one more outcome.
//
// A verdict worsens after Fall consecutive outcomes that are worse than it, to the mildest of them, and improves after Rise consecutive
// better ones, to the gravest of them; one outcome to the contrary starts the count again. An own fault counts for neither side and
// changes no status. From Unknown the first good outcome decides, but Fail still takes Fall outcomes: one lost probe right after
// a start must not take a server out.
//
// An improvement waits for the end of the hold-down and of damping, and comes with the next outcome after it that is as good as the new status: one that
// fails improves nothing. Nothing delays a change for the worse but Grace.
func (v Verdict) Step(o Outcome, rule Rule) Verdict {
	v.Last = o
	said := o.Class.Status()
	if said == Unknown {
		return v
	}
	v.Measured = o.At
	at := o.At.Add(o.Took)
	if said == Fail && pending(v.Grace, at, rule.Grace) {
		return v
	}
	rule = rule.orDefault()
	v.Grace = time.Time{}
	v.Streak = v.Streak.step(said, max(rule.Rise, rule.Fall))
	v.Pace = v.Pace.step(o, rule)
	from := v.raw()
	v.Raw = v.Streak.decide(from, rule)
	v.Flap = v.Flap.step(from, v.Raw, at, rule.Damping)
	v = v.settle(said, at, rule)
	switch {
	case said != Fail:
		v.Failing = time.Time{}
	case v.Failing.IsZero():
		v.Failing = at
	}
	return v
}

// settle makes the status what Raw is, unless that is better and has to wait, or is not what was said last.
func (v Verdict) settle(said Status, at time.Time, rule Rule) Verdict {
	if v.Raw == v.Status || v.Raw < v.Status && (said > v.Raw || v.Flap.Damped || pending(v.Held, at, rule.HoldDown)) {
		return v
	}
	v.Held = time.Time{}
	if v.Raw > v.Status && v.Status != Unknown && rule.HoldDown > 0 {
		v.Held = at.Add(rule.HoldDown)
	}
	v.Status, v.Since = v.Raw, at
	return v
}

// raw is Raw, also of a verdict from before there was such a thing.
func (v Verdict) raw() Status {
	if v.Raw == Unknown {
		return v.Status
	}
	return v.Raw
}

// Waits reports whether the verdict would be better if nothing held it, until when it is held at most, and whether it is for flapping. Where that is over,
// it waits for one more good outcome.
func (v Verdict) Waits() (until time.Time, damped, ok bool) {
	if v.Raw == Unknown || v.Raw >= v.Status {
		return time.Time{}, false, false
	}
	if v.Flap.Damped && v.Flap.Until.After(v.Held) {
		return v.Flap.Until, true, true
	}
	return v.Held, false, true
}

// Age is how long ago the target was last measured, 0 where it never was.
func (v Verdict) Age(now time.Time) time.Duration {
	if v.Measured.IsZero() {
		return 0
	}
	return max(0, now.Sub(v.Measured))
}

// resumed is the verdict after a gap: consecutive means without one.
func (v Verdict) resumed() Verdict {
	v.Raw, v.Streak, v.Failing, v.Pace = v.Status, Streak{}, time.Time{}, Pace{Steps: min(v.Pace.Steps, maxSteps)}
	return v
}
