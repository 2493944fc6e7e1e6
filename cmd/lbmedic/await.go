package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/cells"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

// await waits for every server that was ordered, all at once, and tells how far each is.
func (o *orders) await(ctx context.Context, results []ordered) error {
	show := &progress{app: o.app}
	errs := make([]error, len(results))
	var waits sync.WaitGroup
	for i := range results {
		if results[i].Done == nil {
			continue
		}
		await := o.awaitOne
		if !strings.Contains(results[i].Done.Target, "/") {
			await = o.awaitService
		}
		waits.Go(func() { errs[i] = await(ctx, &results[i], show, len(results) == 1) })
	}
	waits.Wait()
	show.end()
	return cmp.Or(errs...)
}

func (o *orders) awaitOne(ctx context.Context, r *ordered, show *progress, alone bool) error {
	var t remediate.Target
	if err := t.UnmarshalText([]byte(r.Done.Target)); err != nil {
		return err
	}
	last, err := o.client.AwaitDrained(ctx, t, o.timeout, func(d admin.Drain) { show.line(t.String(), held(d)) })
	r.Drain = &last
	if err == nil {
		err = endOf(last, t, o)
	}
	if err == nil {
		show.done(fmt.Sprintf("%s: drained", t))
		return nil
	}
	return o.notAwaited(r, err, t.String(), show, alone)
}

// notAwaited says why there was no end to a wait, and what stands.
func (o *orders) notAwaited(r *ordered, err error, name string, show *progress, alone bool) error {
	switch {
	case errors.Is(err, admin.ErrWentAway), errors.Is(err, admin.ErrNoDaemon):
		err = fmt.Errorf("%w; the %s stands: start it with `lbmedic run`, then wait again with `lbmedic %s --wait %s`", err, o.want, o.want, name)
	case errors.Is(err, context.Canceled):
		show.note(fmt.Sprintf("%s: nobody waits any more; the %s stands until `lbmedic ready %s`", name, o.want, name))
		return err
	}
	show.end()
	return o.failed(r, err, alone)
}

// endOf says why a wait ended without a drained server, and what to do.
func endOf(d admin.Drain, t remediate.Target, o *orders) error {
	switch d.End {
	case admin.EndDrained:
		return nil
	case admin.EndTimeout:
		return fmt.Errorf("%s is not drained after %s: %s; the %s stands: wait again, or `lbmedic ready %s`", t, o.timeout, held(d), o.want, t)
	case admin.EndLifted:
		return fmt.Errorf("the %s of %s was ended by somebody else, or its time was over; `lbmedic events` tells", o.want, t)
	}
	return fmt.Errorf("the daemon stopped while %s was draining; the %s stands: start it with `lbmedic run`, then wait again with `lbmedic %s --wait %s`",
		t, o.want, o.want, t)
}

func held(d admin.Drain) string {
	if d.Detail == "" {
		return string(d.State)
	}
	return string(d.State) + ": " + d.Detail
}

// progress shows how far drains are: on a terminal in one line that is written again, otherwise a line a change.
type progress struct {
	*app
	mu    sync.Mutex
	open  int // columns of the line that is being written again
	multi map[string]bool
}

func (p *progress) line(t, how string) {
	text := plain(t + ": " + how)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet || p.json() {
		return
	}
	if p.multi == nil {
		p.multi = map[string]bool{}
	}
	p.multi[t] = true
	if !isTerminal(p.stdout) || len(p.multi) > 1 {
		p.close()
		fmt.Fprintln(p.stdout, text)
		return
	}
	blank := max(0, p.open-cells.Width(text))
	p.open = cells.Width(text)
	fmt.Fprintf(p.stdout, "\r%s%*s", text, blank, "")
}

// done ends the line that is written again with what came of it.
func (p *progress) done(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
	_ = p.say("%s", plain(text)) // a pipe that was closed shows at the next write
}

// note says something that --quiet does not hide.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
	fmt.Fprintln(p.stderr, "lbmedic: "+plain(text))
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
}

func (p *progress) close() {
	if p.open > 0 {
		fmt.Fprintln(p.stdout)
		p.open = 0
	}
}
