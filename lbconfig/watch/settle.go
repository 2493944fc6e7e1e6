package watch

import "time"

// settle decides when to look after events: once they have been quiet for a while, but not later than limit after the first,
// so that a busy neighbour in the same folder cannot put it off for ever.
type settle struct {
	quiet, limit time.Duration
	first, last  time.Time // zero while there is nothing to look at
	doubt        bool      // a look without an event found a change: silence proves nothing
}

// event notes that something happened.
func (s *settle) event(now time.Time) {
	if s.first.IsZero() {
		s.first = now
	}
	s.last = now
}

// again asks for a second look at files that may still be written.
func (s *settle) again(now time.Time) {
	s.event(now)
	s.doubt = true
}

// due is when to look.
func (s *settle) due() (time.Time, bool) {
	if s.first.IsZero() {
		return time.Time{}, false
	}
	due := s.last.Add(s.quiet)
	if end := s.first.Add(s.limit); end.Before(due) {
		due = end
	}
	return due, true
}

// done forgets the events and reports whether they had become quiet.
func (s *settle) done(now time.Time) (quiet bool) {
	quiet = !s.first.IsZero() && !s.doubt && now.Sub(s.last) >= s.quiet
	s.first, s.last, s.doubt = time.Time{}, time.Time{}, false
	return quiet
}
