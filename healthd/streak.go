package healthd

// Streak counts the consecutive outcomes up to now, by how good they were.
type Streak struct {
	Passes int `json:"passes"` // pass
	Good   int `json:"good"`   // pass or warn
	Poor   int `json:"poor"`   // warn or fail
	Fails  int `json:"fails"`  // fail
}

// decide gives the status that follows from the counts.
func (n Streak) decide(from Status, rule Rule) Status {
	switch {
	case from != Fail && n.Fails >= rule.Fall:
		return Fail
	case from == Pass && n.Poor >= rule.Fall:
		return Warn
	case from == Unknown && n.Passes > 0, from != Unknown && n.Passes >= rule.Rise:
		return Pass
	case from == Unknown && n.Good > 0, from == Fail && n.Good >= rule.Rise:
		return Warn
	}
	return from
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
