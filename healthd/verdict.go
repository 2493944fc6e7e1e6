package healthd

import "time"

// Rule says how many consecutive outcomes change a verdict. A zero field means its default.
type Rule struct {
	Rise    int         // better outcomes until a verdict improves; 2
	Fall    int         // worse outcomes until a verdict worsens; 3
	Latency LatencyRule // how long an answer may take; see LatencyRule.Judge
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
	Since    time.Time `json:"since"`    // when Status became so
	Measured time.Time `json:"measured"` // the last outcome that was no own fault
	Last     Outcome   `json:"last"`     // own faults included
	Streak   Streak    `json:"streak"`
	Pace     Pace      `json:"pace,omitzero"` // how slow it has become
}

// Streak counts the consecutive outcomes up to now, by how good they were.
type Streak struct {
	Passes int `json:"passes"` // pass
	Good   int `json:"good"`   // pass or warn
	Poor   int `json:"poor"`   // warn or fail
	Fails  int `json:"fails"`  // fail
}

// Step gives the verdict after one more outcome.
//
// A verdict worsens after Fall consecutive outcomes that are worse than it, to the mildest of them, and improves after Rise consecutive
// better ones, to the gravest of them; one outcome to the contrary starts the count again. An own fault counts for neither side and
// changes no status. From Unknown the first good outcome decides, but Fail still takes Fall outcomes: one lost probe right after
// a start must not take a server out.
func (v Verdict) Step(o Outcome, rule Rule) Verdict {
	v.Last = o
	if o.Class.Status() == Unknown {
		return v
	}
	rule = rule.orDefault()
	v.Measured = o.At
	v.Streak = v.Streak.step(o.Class.Status(), max(rule.Rise, rule.Fall))
	v.Pace = v.Pace.step(o, rule)
	if next := v.next(rule); next != v.Status {
		v.Status, v.Since = next, o.At.Add(o.Took)
	}
	return v
}

func (v Verdict) next(rule Rule) Status {
	n := v.Streak
	switch {
	case v.Status != Fail && n.Fails >= rule.Fall:
		return Fail
	case v.Status == Pass && n.Poor >= rule.Fall:
		return Warn
	case v.Status == Unknown && n.Passes > 0, v.Status != Unknown && n.Passes >= rule.Rise:
		return Pass
	case v.Status == Unknown && n.Good > 0, v.Status == Fail && n.Good >= rule.Rise:
		return Warn
	}
	return v.Status
}

// step counts no further than limit, beyond which no rule looks.
func (n Streak) step(s Status, limit int) Streak {
	count := func(counter int, continues bool) int {
		if !continues {
			return 0
		}
		return min(counter+1, limit)
	}
	return Streak{
		Passes: count(n.Passes, s == Pass),
		Good:   count(n.Good, s != Fail),
		Poor:   count(n.Poor, s != Pass),
		Fails:  count(n.Fails, s == Fail),
	}
}
