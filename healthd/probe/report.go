package probe

import (
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Report takes the outcome of one probe. A change of a verdict is published at once, or 20 ms later where there are many; details within a
// second.
func (b *Board) Report(service, check string, o healthd.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{service, check}
	r, ok := b.checks[k]
	if !ok { // of a config that is no more
		return
	}
	old, suspect := r.verdict, r.suspect()
	r.take(o)
	r.consult(service, &b.ear, time.Now()) // no earlier than what was heard while this waited
	b.pend(k, r)
	if !r.visible(old, suspect) && !b.marked(k) {
		return
	}
	if b.running && len(b.checks) >= many && time.Since(b.flushed) < gap {
		select {
		case b.due <- struct{}{}:
		default: // it knows
		}
		return
	}
	b.flush(o.At.Add(o.Took))
}

// pend notes that a record is newer than the edition.
func (b *Board) pend(k key, r *record) {
	if !r.pending {
		r.pending, b.pending = true, append(b.pending, k)
	}
}

// marked reports whether the check is published as stale or awaited, which the outcome at hand may end.
func (b *Board) marked(k key) bool {
	if svc, ok := b.Latest().Service(k.service); ok {
		if c, ok := svc.Check(k.check); ok {
			return c.Stale || c.Awaited || svc.Stale
		}
	}
	return false
}

func (b *Board) flush(now time.Time) {
	if len(b.pending) == 0 {
		return
	}
	changes := make([]healthd.Change, 0, len(b.pending))
	for _, k := range b.pending {
		r := b.checks[k]
		r.pending = false
		changes = append(changes, healthd.Change{Service: k.service, Check: k.check, Verdict: r.verdict, Latency: r.ring.Latency(), Suspect: r.suspect()})
	}
	b.pending = b.pending[:0]
	b.publish(b.Latest().Update(changes, now))
	b.flushed = time.Now()
}
