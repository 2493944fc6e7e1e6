package probe

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// overdue is how long after its timeout a probe is taken to hang: one that heeds the timeout needs less.
const overdue = time.Second

// turn is one check, and when it is probed next.
type turn struct {
	service string
	check   Check
	next    time.Time
	step    time.Duration // to the one after
	flight  *flight
}

// turns is a heap by when they are due.
type turns []*turn

func (h turns) Len() int           { return len(h) }
func (h turns) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h turns) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *turns) Push(x any)        { *h = append(*h, x.(*turn)) }
func (h *turns) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// flight is the one probe of a check that may be under way. Safe for concurrent use.
type flight struct {
	mu      sync.Mutex
	began   time.Time // zero: none is
	landed  bool      // its outcome is being reported
	givenUp bool      // its outcome comes too late to say anything
}

// start begins one at now, unless one is under way since began.
func (f *flight) start(now time.Time) (began time.Time, started bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.began.IsZero() {
		return f.began, false
	}
	f.began, f.landed, f.givenUp = now, false, false
	return now, true
}

// giveUp makes the outcome of the one under way void; false where it is there already.
func (f *flight) giveUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.givenUp = !f.began.IsZero() && !f.landed
	return f.givenUp
}

// land says that there is an outcome, and reports whether it is still wanted.
func (f *flight) land() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.landed = true
	return !f.givenUp
}

func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began = time.Time{}
}

func hangs(since time.Duration) string {
	return fmt.Sprintf("no answer in time; the probe still hangs after %s", since.Round(100*time.Millisecond))
}

// probe makes one probe. It reports before the flight ends, so that the outcomes of a check come one after the other.
func (t *turn) probe(ctx context.Context, r Reporter) {
	bounded, cancel := context.WithTimeout(ctx, t.check.timeout())
	defer cancel()
	defer t.flight.end()
	o := t.check.ask(bounded)
	if t.flight.land() && ctx.Err() == nil {
		r.Report(t.service, t.check.Name, o)
	}
}

// ask makes one probe. One that panics is a fault of ours and says nothing about its target; the others go on.
func (c *Check) ask(ctx context.Context) (o healthd.Outcome) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			o = healthd.NewOutcome(start, time.Since(start), healthd.OwnFault, fmt.Sprintf("probe not made: panic at %s: %v", panicked(), p))
		}
	}()
	return c.Probe(ctx)
}

// panicked names the line that panicked, for whoever reports it to us.
func panicked() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for within := false; ; {
		f, more := frames.Next()
		if within && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
		}
		within = within || f.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}
