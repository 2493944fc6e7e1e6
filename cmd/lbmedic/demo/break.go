package demo

import "context"

// breakAndRemove: the dependency of one app fails, users meet errors, and HAProxy is told.
func (s *story) breakAndRemove(ctx context.Context) error {
	if err := s.enter(ctx, s.tally, Broken); err != nil {
		return err
	}
	broke := s.act(ActBreak)
	s.needs[broken].fail()
	s.line.tell(broke, "demo", title, "the dependency of %s fails; its port stays open, and HAProxy's own check still passes", broken)
	err := await(ctx, "the sidecar of "+broken+" says fail", failLimit, s.logs(broken), func(ctx context.Context) error {
		return s.ears[broken].await(ctx, "fail")
	})
	if err != nil {
		return err
	}
	err = await(ctx, "HAProxy stops sending requests to "+broken, removeLimit, s.logs(broken), func(ctx context.Context) error {
		return s.observer.await(ctx, broken, broke, func(s Sample) bool { return !s.Routing })
	})
	if err != nil {
		return err
	}
	if err := s.enter(ctx, s.tally, Out); err != nil {
		return err
	}
	s.tellRemoval()
	return dwell(ctx, phaseTime)
}

// tellRemoval prints the figure of the demo, and what users met meanwhile.
func (s *story) tellRemoval() {
	h := History{Steps: s.history.Steps, Seen: s.observer.sightings(), Words: s.ears[broken].heard()}
	in, text := takenOutInTime(&h)
	how := good
	if !in {
		how = bad
	}
	out, _ := h.sighting(broken, ActBreak, notRouting)
	s.line.tell(out.At, "demo", how, "%s", text)
	c := s.tally.total()[Broken]
	s.tell("users", bad, "%d of %d requests met an error during the break%s", c.Errors+c.Lost, c.Sent, c.example())
}

// healAndReturn: the dependency is back, and HAProxy returns the app by its own rise.
func (s *story) healAndReturn(ctx context.Context) error {
	healed := s.act(ActHeal)
	if err := s.needs[broken].heal(); err != nil {
		return err
	}
	s.line.tell(healed, "demo", title, "the dependency of %s heals", broken)
	err := await(ctx, "HAProxy sends requests to "+broken+" again", returnLimit, s.logs(broken), func(ctx context.Context) error {
		return s.observer.await(ctx, broken, healed, func(s Sample) bool { return s.Routing })
	})
	if err != nil {
		return err
	}
	if err := s.enter(ctx, s.tally, Returned); err != nil {
		return err
	}
	return dwell(ctx, phaseTime)
}
