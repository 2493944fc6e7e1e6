package probe

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

const (
	// A first probe is made within firstWithin of the start, and a little for each check there is, so that the first round is over soon and its probes
	// do not get into each other's way.
	firstWithin = 200 * time.Millisecond
	firstEach   = 150 * time.Microsecond

	// together is how much later than due a probe may start where there are many: those that are due within it start at once. To wake for each of
	// thousands of starts a second costs as much as the probes do: with 1,000 a second over kept connections a probe is 101 us of CPU at 5 ms, 87 at 10,
	// 75 at 20 and 70 at 30.
	together = 20 * time.Millisecond

	// stopWithin bounds how long a stop waits for probes that heed no stop.
	stopWithin = time.Second
)

// Reporter takes the outcomes of probes.
type Reporter interface {
	Report(service, check string, o healthd.Outcome)
}

// Probers probe the checks of some services.
type Probers struct {
	turns  []*turn // in the order of the config
	report Reporter
}

// NewProbers makes probers that report to r. Run starts them.
func NewProbers(services []Service, r Reporter) *Probers {
	return (&Probers{report: r}).Next(services)
}

// Next makes the probers of other services, after a change of the config. A check in which a probe of these hangs is probed again only once that
// ends: in a system call that nothing interrupts it would be one more after each change.
func (p *Probers) Next(services []Service) *Probers {
	type name struct{ service, check, kind, target string }
	flights := map[name]*flight{}
	for _, t := range p.turns {
		flights[name{t.service, t.check.Name, t.check.Kind, t.check.Target}] = t.flight
	}
	next := &Probers{report: p.report}
	for _, svc := range services {
		for _, c := range svc.Checks {
			f := flights[name{svc.Name, c.Name, c.Kind, c.Target}]
			if f == nil {
				f = &flight{}
			}
			next.turns = append(next.turns, &turn{service: svc.Name, check: c, flight: f})
		}
	}
	return next
}

// Run probes until ctx ends, and returns nil once the last probe is over, or a second later where one heeds no stop. Each check has at most one
// probe in flight; a beat that comes while one is, is skipped. A probe that the stop cuts short reports nothing.
func (p *Probers) Run(ctx context.Context) error {
	w := &workers{probe: func(t *turn) { t.probe(ctx, p.report) }}
	defer w.wait()
	defer w.end()
	if len(p.turns) == 0 {
		<-ctx.Done()
		return nil
	}
	start := time.Now()
	window := firstWithin + time.Duration(len(p.turns))*firstEach
	for _, t := range p.turns {
		t.begin(start, window)
	}
	due := turns(slices.Clone(p.turns))
	heap.Init(&due)
	pause := p.pause()
	timer := time.NewTimer(time.Until(due[0].next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		for now := time.Now(); ctx.Err() == nil && !due[0].next.After(now); now = time.Now() {
			p.start(w, due[0], now)
			due[0].advance(now)
			heap.Fix(&due, 0)
		}
		timer.Reset(max(time.Until(due[0].next), pause))
	}
}

// pause is how long to wait at least from one look at what is due to the next: nothing, unless several checks are due in that time, and never more than
// a twentieth of the shortest interval.
func (p *Probers) pause() time.Duration {
	pause, rate := together, 0.0
	for _, t := range p.turns {
		interval := t.check.interval()
		pause, rate = min(pause, interval/20), rate+1/interval.Seconds()
	}
	if rate*pause.Seconds() < 2 {
		return 0
	}
	return pause
}

// start makes a probe, or says of the one that still hangs long after its time that it does: a timeout again, and as slow as one.
func (p *Probers) start(w *workers, t *turn, now time.Time) {
	timeout := t.check.timeout()
	switch began, started := t.flight.start(now); {
	case started:
		w.do(t)
	case now.Sub(began) > timeout+overdue && t.flight.giveUp():
		p.report.Report(t.service, t.check.Name, healthd.NewOutcome(now.Add(-timeout), timeout, healthd.TimedOut, hangs(now.Sub(began))))
	}
}

// begin places the first probe soon after the start, and the second half an interval to one and a half later, by chance: so neither the checks of one
// host nor the same check on many hosts stay in step, and the load is even over the interval. From then on it keeps the beat.
func (t *turn) begin(start time.Time, window time.Duration) {
	interval := t.check.interval()
	t.next = start.Add(rand.N(min(window, interval)))
	t.step = interval/2 + rand.N(interval)
}

// advance sets when the next probe is due. Beats that a busy or suspended host missed are skipped.
func (t *turn) advance(now time.Time) {
	interval := t.check.interval()
	t.next = t.next.Add(t.step)
	t.step = interval
	if late := now.Sub(t.next); late > 0 {
		t.next = t.next.Add(late.Truncate(interval) + interval)
	}
}
