package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// errStopping ends the streams when Run stops.
var errStopping = errors.New("lbmedic is stopping")

// lines is an answer of one JSON value a line, each sent at once.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// send writes one line. The caller has ten seconds to take it.
func (l *lines) send(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	l.begin()
	if err := l.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if _, err := l.w.Write(append(text, '\n')); err != nil {
		return err
	}
	return l.control.Flush()
}

// begin sends the head, so that a caller knows that it was understood.
func (l *lines) begin() {
	if l.begun {
		return
	}
	l.begun = true
	l.w.Header().Set("Content-Type", "application/x-ndjson")
	l.w.WriteHeader(http.StatusOK)
	_ = l.control.Flush() // the next write tells
}

// serveStream answers with lines until there are no more, the caller goes, or Run stops.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, e endpoint) {
	if !s.enter() {
		problemf(http.StatusServiceUnavailable, TooMany, "%d streams are open already", maxStreams).write(w)
		return
	}
	defer s.leave()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	ended := make(chan struct{})
	defer close(ended)
	stop := s.stopped()
	go func() {
		select {
		case <-stop:
			cancel(errStopping)
		case <-ended:
		}
	}()
	l := &lines{w: w, control: http.NewResponseController(w)}
	// The deadline for reading the request must not end a stream that lasts longer.
	_ = l.control.SetReadDeadline(time.Time{})
	if err := e.stream(s, r.WithContext(ctx), l); err != nil && !l.begun {
		s.problem(err).write(w)
	}
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams >= maxStreams {
		return false
	}
	s.streams++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams--
}
