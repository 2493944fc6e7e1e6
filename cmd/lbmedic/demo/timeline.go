package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// tone is how an event is drawn on a terminal.
type tone string

const (
	plain tone = ""
	quiet tone = "2"
	good  tone = "32"
	bad   tone = "31"
	title tone = "1"
)

// draw gives the text in its tone where colours are wanted.
func (t tone) draw(text string, colour bool) string {
	if !colour || t == plain {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// Event is one line of the timeline.
type Event struct {
	Offset float64 `json:"offset_ms"` // since the start
	Who    string  `json:"who"`       // who saw or did it: demo, users, sidecar, haproxy, nginx, lbmedic
	Text   string  `json:"text"`

	at   time.Time
	tone tone
}

// settle is how long a line is held back: who saw something first may tell it second.
const settle = 100 * time.Millisecond

// timeline prints what happens, in the order of time.
type timeline struct {
	w      io.Writer
	colour bool
	begun  time.Time

	mu      sync.Mutex
	pending []Event // not printed yet, by time
	events  []Event // printed
}

func newTimeline(w io.Writer, colour bool, begun time.Time) *timeline {
	return &timeline{w: w, colour: colour, begun: begun}
}

// tell adds a line that happened at a time.
func (t *timeline) tell(at time.Time, who string, how tone, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := Event{Offset: float64(at.Sub(t.begun).Microseconds()) / 1000, Who: who, Text: fmt.Sprintf(format, args...), at: at, tone: how}
	i, _ := slices.BinarySearchFunc(t.pending, e, func(a, b Event) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1 // of the same time: after those that were told before
	})
	t.pending = slices.Insert(t.pending, i, e)
}

// Run prints lines once they have settled, until ctx is done; then it prints the rest.
func (t *timeline) Run(ctx context.Context) error {
	tick := time.NewTicker(settle / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return t.print(time.Time{})
		case now := <-tick.C:
			if err := t.print(now.Add(-settle)); err != nil {
				return err
			}
		}
	}
}

// flush prints everything that was told.
func (t *timeline) flush() error { return t.print(time.Time{}) }

// between prints everything that was told and then has show print something else, with no line in its midst.
func (t *timeline) between(show func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.printLocked(time.Time{}), show())
}

// print prints the lines up to a time; the zero time is all of them.
func (t *timeline) print(until time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.printLocked(until)
}

func (t *timeline) printLocked(until time.Time) error {
	n := len(t.pending)
	if !until.IsZero() {
		n = 0
		for n < len(t.pending) && !t.pending[n].at.After(until) {
			n++
		}
	}
	var b strings.Builder
	for _, e := range t.pending[:n] {
		b.WriteString(e.line(t.colour) + "\n")
	}
	if len(t.events) < maxSeen {
		t.events = append(t.events, t.pending[:n]...)
	}
	t.pending = slices.Clone(t.pending[n:])
	if n == 0 {
		return nil
	}
	if _, err := io.WriteString(t.w, b.String()); err != nil {
		return fmt.Errorf("print the timeline: %w", err)
	}
	return nil
}

func (e Event) line(colour bool) string {
	return quiet.draw(fmt.Sprintf("%9.3f s", e.Offset/1000), colour) + "  " + fmt.Sprintf("%-8s", e.Who) + "  " + e.tone.draw(e.Text, colour)
}

// told are the lines printed up to now.
func (t *timeline) told() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.events)
}
