package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// How often details that change no verdict are published, and an unchanged snapshot is saved.
const (
	beat      = time.Second
	saveEvery = 30 * time.Second
)

// A snapshot of many checks takes milliseconds to make, and after a start or an outage all of them change at once: those are published at
// most once a gap, while Run is there to do it.
const (
	many = 256
	gap  = 20 * time.Millisecond
)

// Settings of a Board.
type Settings struct {
	Services []Service
	Dir      string      // where the snapshot and the orders are kept; it exists; empty keeps nothing
	Problem  func(error) // hears what goes wrong beside a call: once when it begins, not each time; nil hears nothing
}

// Board holds the latest snapshot. Reading it takes no lock; its methods are safe for concurrent use.
type Board struct {
	dir     string
	problem func(error)
	latest  atomic.Pointer[edition]
	ticked  atomic.Pointer[time.Time] // when Run last had a turn

	mu      sync.Mutex // held to make the next edition
	checks  map[key]*record
	pending []key // whose record is newer than the edition
	shared  []key // that siblings share
	ear     ear
	orders  orders
	flushed time.Time     // when verdicts were last published
	running bool          // Run is
	due     chan struct{} // tells Run to publish a gap from now
}

type key struct{ service, check string }

// edition is a snapshot and the channel that is closed once its generation is over.
type edition struct {
	*healthd.Snapshot
	over chan struct{}
}

// NewBoard makes a board that begins with the last snapshot from disk, if it is at most healthd.MaxStale old, and with the orders
// from disk. An unreadable file is set aside and told to Settings.Problem: a sidecar that does not run would be worse.
func NewBoard(s Settings) (*Board, error) {
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("name this run of the sidecar: %w", err)
	}
	b := &Board{dir: s.Dir, problem: s.Problem, due: make(chan struct{}, 1)}
	if b.problem == nil {
		b.problem = func(error) {}
	}
	now := time.Now()
	old, err := loadSnapshot(b.dir)
	if err != nil {
		b.problem(err)
	}
	b.orders, err = loadOrders(b.dir)
	if err != nil {
		b.problem(err)
	}
	b.latest.Store(&edition{Snapshot: &healthd.Snapshot{}, over: make(chan struct{})})
	b.begin(healthd.Restart(fresh(hex.EncodeToString(id), s.Services), old, now), s.Services, now)
	return b, nil
}

// Replace changes what is served to other services, after a change of the config. Checks that are the same keep their history; what is known of others
// of the same name, kind and target is marked stale until it is measured again. Orders stand.
func (b *Board) Replace(services []Service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.flush(now)
	old, before := b.Latest(), b.checks
	kept := map[key]*record{}
	for _, svc := range services {
		for _, c := range svc.Checks {
			k := key{svc.Name, c.Name}
			if r := before[k]; r != nil && c.Same != "" && r.same == c.Same {
				kept[k] = r
			}
		}
	}
	same := func(service, check string) bool { return kept[key{service, check}] != nil }
	b.begin(healthd.Reload(fresh(old.Instance, services), old, same, now), services, now)
	for k, r := range kept {
		b.checks[k].keep(r)
	}
}

// begin publishes a first snapshot with the orders that stand.
func (b *Board) begin(s *healthd.Snapshot, services []Service, now time.Time) {
	b.checks, b.pending, b.shared = map[key]*record{}, nil, nil
	words := map[string]map[string]healthd.Word{}
	for _, svc := range services {
		for _, c := range svc.Checks {
			k, r := key{svc.Name, c.Name}, newRecord(c)
			b.checks[k] = r
			if r.dependency != "" {
				b.shared, words[r.dependency] = append(b.shared, k), b.ear.words[r.dependency]
				if words[r.dependency] == nil {
					words[r.dependency] = map[string]healthd.Word{}
				}
			}
		}
	}
	b.ear.words = words
	for _, svc := range s.Services {
		for _, c := range svc.Checks {
			b.checks[key{svc.Name, c.Name}].begin(&c, now)
		}
		if o, ok := b.orders.Services[svc.Name]; ok {
			s, _ = s.Order(svc.Name, o.Admin, now)
		}
	}
	b.publish(s)
}

// Latest is the snapshot of this moment; never nil.
func (b *Board) Latest() *healthd.Snapshot { return b.latest.Load().Snapshot }

// Ticked is when Run last had a turn, which it has each second: a watchdog that looks at it sees a board that hangs. Zero before the first.
func (b *Board) Ticked() time.Time {
	if at := b.ticked.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Wait returns the latest snapshot once its generation is above after: at once if it is already, else with the next change. When ctx
// ends first it returns the latest all the same, with the error of ctx.
func (b *Board) Wait(ctx context.Context, after uint64) (*healthd.Snapshot, error) {
	for {
		e := b.latest.Load()
		if e.Generation > after {
			return e.Snapshot, nil
		}
		select {
		case <-e.over:
		case <-ctx.Done():
			return b.Latest(), ctx.Err()
		}
	}
}

// publish makes s the latest. Those who wait are woken after it can be read, so nobody sleeps through a change.
func (b *Board) publish(s *healthd.Snapshot) {
	old := b.latest.Load()
	if s.Generation == old.Generation {
		b.latest.Store(&edition{s, old.over})
		return
	}
	b.latest.Store(&edition{s, make(chan struct{})})
	close(old.over)
}

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
	r.consult(service, &b.ear, o.At.Add(o.Took))
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

// Run publishes details, marks what was not measured lately, and saves the snapshot, once a second if it changed (less often where that takes long) and
// twice a minute if not, until ctx ends; then once more.
func (b *Board) Run(ctx context.Context) error {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	var saved save
	var later <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			b.mu.Lock()
			b.running = false
			b.flush(time.Now())
			b.mu.Unlock()
			b.save(&saved)
			return nil
		case <-b.due:
			if later == nil {
				later = time.After(gap)
			}
			continue
		case <-later:
			later = nil
			b.mu.Lock()
			b.flush(time.Now())
			b.mu.Unlock()
			continue
		case <-tick.C:
		}
		b.mu.Lock()
		now := time.Now()
		b.ticked.Store(&now)
		b.flush(now)
		b.reconsider(now)
		b.publish(b.Latest().Outdate(now))
		b.mu.Unlock()
		if age := time.Since(saved.at); age >= saveEvery || b.Latest().Generation != saved.generation && age >= saved.pause() {
			b.save(&saved)
		}
	}
}

// save is what the last attempt to save came to.
type save struct {
	generation uint64
	at         time.Time
	took       time.Duration
	failed     bool
}

// pause is how long to wait before the next, so that the many changes of many checks cost a twentieth of a core at most.
func (s *save) pause() time.Duration { return 20 * s.took }

func (b *Board) save(last *save) {
	s, began := b.Latest(), time.Now()
	err := saveSnapshot(b.dir, s)
	if err != nil && !last.failed {
		b.problem(err)
	}
	*last = save{generation: s.Generation, at: time.Now(), took: time.Since(began), failed: err != nil}
}
