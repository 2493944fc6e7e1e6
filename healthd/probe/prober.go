package probe

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// firstWithin bounds how long after a start the first probe of a check is made, so that the first round is over soon.
const firstWithin = 200 * time.Millisecond

// Reporter takes the outcomes of probes.
type Reporter interface {
	Report(service, check string, o healthd.Outcome)
}

// Probers probe the checks of some services.
type Probers struct {
	services []Service
	report   Reporter
}

// NewProbers makes probers that report to r. Run starts them.
func NewProbers(services []Service, r Reporter) *Probers {
	return &Probers{services: services, report: r}
}

// Run probes until ctx ends, and returns nil once the last probe is over. Each check has at most one probe in flight; a beat that
// comes while one is, is skipped. A probe that the stop cuts short reports nothing.
func (p *Probers) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, svc := range p.services {
		for _, c := range svc.Checks {
			running.Go(func() { p.repeat(ctx, svc.Name, c) })
		}
	}
	running.Wait()
	return nil
}

// repeat probes soon after the start, again after a part of the interval that is its own (so that neither the checks of one host nor
// the same check on many hosts stay in step), and then on the beat.
func (p *Probers) repeat(ctx context.Context, service string, c Check) {
	interval := c.interval()
	next := time.Now().Add(rand.N(min(firstWithin, interval)))
	phase := interval/2 + rand.N(interval-interval/2)
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		p.once(ctx, service, c)
		next = next.Add(phase)
		phase = interval
		if late := time.Since(next); late > 0 { // the probe, or the host, took longer than a beat
			next = next.Add(late.Truncate(interval) + interval)
		}
		timer.Reset(time.Until(next))
	}
}

func (p *Probers) once(ctx context.Context, service string, c Check) {
	bounded, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	o := c.Probe(bounded)
	if ctx.Err() == nil {
		p.report.Report(service, c.Name, o)
	}
}
