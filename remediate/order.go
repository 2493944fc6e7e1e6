package remediate

// Admit says whether an operator's order may be taken: nil, or a *Refusal. An order spends the same capacity as
// automation (S1); force takes it below the floor. It never refuses Ready.
func Admit(v View, server string, want Verb, force bool) error {
	target := v.target(server)
	s, ok := v.Backend.server(server)
	if !ok {
		return &Refusal{target, HoldUnknownServer, "the balancer has no such server; `lbmedic status` lists them"}
	}
	if want == Ready {
		return nil
	}
	if want == Drain && s.Admin&ForcedMaint != 0 && s.Admin&ForcedDrain == 0 {
		return &Refusal{target, HoldForeignMaint, "it is in maintenance, which a drain would end; order maint, or ready first"}
	}
	if s.Tracks != "" {
		return &Refusal{target, HoldTracks, "it follows " + s.Tracks + "; give the order to that server"}
	}
	if force || !s.InService() {
		return nil
	}
	reason, detail := newTally(v).refuse([]Server{s})
	if reason == HoldFloor || reason == HoldFollowerFloor {
		return &Refusal{target, reason, detail + "; --force orders it all the same"}
	}
	return nil
}

// PutBack is what an operator's `ready` does to a server: it ends what was ordered, and undoes what automation left on it,
// or forced health that nobody owns any more, as after a journal was lost. The operator's word is the last.
func PutBack(v View, server, reason string) []Action {
	s, ok := v.Backend.server(server)
	if !ok {
		return nil
	}
	a := Action{Verb: Ready, Target: v.target(server), Reason: OperatorOrder, Detail: reason}
	steps := []Action{a}
	switch {
	case s.Take != nil && s.Take.Verb == ZeroWeight:
		a.Verb, a.Weight = RestoreWeight, s.Take.RestoreTo(s, v.Generation)
		steps = append(steps, a)
	case s.Take != nil || s.Checked && s.CheckOff:
		a.Verb = EnableHealth
		steps = append(steps, a)
	}
	return steps
}

func (b Backend) server(name string) (Server, bool) {
	for _, s := range b.Servers {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}

// Release is the plan that undoes every own take that is open in the backend, whatever the evidence says: an operator
// asked for it. What is no longer as we left it is not touched (S3).
func Release(v View) Plan {
	d := decision{View: v}
	for _, s := range v.Backend.Servers {
		switch {
		case s.Take == nil:
		case s.Pending:
			d.hold(s, s.Take.Verb.Undo(), HoldPending, "the outcome of a command is being read back")
		case s.Take.Verb == ForceDown && s.CheckOff, s.Take.Verb == ZeroWeight && s.Weight == 0:
			d.take(s, s.Take.Verb.Undo(), ReleaseOrder, "")
		default:
			d.fact(s, TakeEnded, Lapsed)
		}
	}
	return d.plan
}

// ReadBack resolves a take whose outcome is not known from what the live worker reports now (S9): done when the server
// reads as the verb leaves it. ok is false while the worker cannot tell.
func ReadBack(verb Verb, s Server) (done, ok bool) {
	switch verb {
	case ForceDown: // half of it counts as well: what there is of it has to be undone
		return s.CheckOff, s.Oper != OperUnknown
	case EnableHealth:
		return !s.CheckOff, s.Oper != OperUnknown
	case ZeroWeight:
		return s.Weight == 0, true
	case RestoreWeight:
		return s.Weight != 0, true
	case Drain:
		return s.Admin&ForcedDrain != 0, true
	case Maint:
		return s.Admin&ForcedMaint != 0, true
	case Ready:
		return s.Admin&(ForcedMaint|ForcedDrain) == 0, true
	}
	return false, false
}
