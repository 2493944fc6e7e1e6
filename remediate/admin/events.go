package admin

import (
	"net/http"
	"net/url"
	"strconv"
)

// Bounds of a reading of the journal, in records.
const (
	defaultEvents = 50
	maxEvents     = 100_000
	eventsAtOnce  = 256
)

// EventQuery says which events are wanted.
type EventQuery struct {
	After  uint64 // only those behind this number; 0 with Tail: the newest
	Tail   bool   // the newest Limit, whatever After is
	Limit  int    // at most so many; 0: 50, or no limit with Follow; 100,000
	Follow bool   // and those that come
}

func (q EventQuery) values() url.Values {
	v := url.Values{}
	if !q.Tail {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Follow {
		v.Set("follow", "true")
	}
	return v
}

func queryOf(r *http.Request) (q EventQuery, err error) {
	v := r.URL.Query()
	for key := range v {
		if key != "after" && key != "limit" && key != "follow" {
			return q, problemf(http.StatusBadRequest, BadRequest, "events takes after, limit and follow, not %q", key)
		}
	}
	q.Tail = !v.Has("after")
	q.Limit = defaultEvents
	if !q.Tail {
		if q.After, err = strconv.ParseUint(v.Get("after"), 10, 64); err != nil {
			return q, problemf(http.StatusBadRequest, BadRequest, "after must be the number of an event")
		}
	}
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxEvents {
			return q, problemf(http.StatusBadRequest, BadRequest, "limit must be a number from 1 to %d", maxEvents)
		}
	}
	if text := v.Get("follow"); text != "" {
		if q.Follow, err = strconv.ParseBool(text); err != nil {
			return q, problemf(http.StatusBadRequest, BadRequest, "follow must be true or false")
		}
	}
	return q, nil
}

// events sends journal.Record, one a line, oldest first. With follow, limit bounds only what there is already.
func (s *Server) events(r *http.Request, out *lines) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	if s.Book == nil {
		return problemf(http.StatusServiceUnavailable, NoJournal, "this lbmedic keeps no journal")
	}
	after, left := q.After, q.Limit
	if last := s.Book.Last(); q.Tail {
		after = last - min(last, uint64(q.Limit))
	}
	for {
		records, err := s.Book.Read(after, min(left, eventsAtOnce))
		if err != nil {
			return err
		}
		out.begin()
		for _, rec := range records {
			if err := out.send(rec); err != nil {
				return err
			}
			after = rec.Seq
		}
		left -= len(records)
		switch {
		case len(records) > 0 && left > 0:
			continue
		case !q.Follow:
			return nil
		}
		left = eventsAtOnce
		if err := s.Book.Wait(r.Context(), after); err != nil {
			return err
		}
	}
}
