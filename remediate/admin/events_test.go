package admin

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

var errEnough = errors.New("enough")

func (s *stage) eventsOf(q EventQuery, enough int) (seqs []uint64) {
	s.t.Helper()
	err := s.client.Events(s.t.Context(), q, func(r journal.Record) error {
		if seqs = append(seqs, r.Seq); len(seqs) == enough {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		s.t.Fatal(err)
	}
	return seqs
}

func TestEventsAreTheNewestOrThoseBehindANumber(t *testing.T) {
	s := newStage(t)
	for range 600 { // more than are read at once
		s.book.Saw(control.Sighting{What: "filler"})
	}
	last := s.book.Last()
	if got := s.eventsOf(EventQuery{Tail: true, Limit: 3}, 0); !slices.Equal(got, []uint64{last - 2, last - 1, last}) {
		t.Errorf("the newest three: %v of %d", got, last)
	}
	if got := s.eventsOf(EventQuery{Tail: true}, 0); len(got) != defaultEvents {
		t.Errorf("without a limit there are %d", len(got))
	}
	if got := s.eventsOf(EventQuery{After: 0, Limit: 590}, 0); len(got) != 590 || got[0] != 1 || got[589] != 590 {
		t.Errorf("from the beginning: %d from %v", len(got), got[:1])
	}
	if got := s.eventsOf(EventQuery{After: last, Limit: 10}, 0); len(got) != 0 {
		t.Errorf("behind the last: %v", got)
	}
	if got := s.eventsOf(EventQuery{Tail: true, Limit: 100_000}, 0); len(got) != int(last) {
		t.Errorf("all: %d of %d", len(got), last)
	}
}

func TestFollowedEventsComeAsTheyHappen(t *testing.T) {
	s := newStage(t)
	last := s.book.Last()
	got := make(chan uint64, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.client.Events(ctx, EventQuery{After: last, Limit: 1, Follow: true}, func(r journal.Record) error { got <- r.Seq; return nil })
	}()
	for i := range uint64(300) { // more than the limit, which is for what there was before
		s.book.Saw(control.Sighting{What: "new"})
		if i == 0 || i == 299 {
			for seq := range got {
				if seq == last+i+1 {
					break
				}
			}
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.until("the stream ended", func() bool { return s.open() == 0 })
}

func TestAStopEndsFollowedEvents(t *testing.T) {
	s := newStage(t)
	ended := make(chan error, 1)
	first := make(chan struct{}, 1000)
	go func() {
		ended <- s.client.Events(t.Context(), EventQuery{Follow: true}, func(journal.Record) error { first <- struct{}{}; return nil })
	}()
	<-first
	s.stop()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}
