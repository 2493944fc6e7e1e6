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
	Boot     string      // names the boot of this host, for what was known before another is forgotten; what the kernel says
	Dir      string      // where the snapshot and the orders are kept; it exists; empty keeps nothing
	Problem  func(error) // hears what goes wrong beside a call: once when it begins, not each time; nil hears nothing
}

// Board holds the latest snapshot. Reading it takes no lock; its methods are safe for concurrent use.
type Board struct {
	dir     string
	problem func(error)
	keep    func(dir string, s *healthd.Snapshot) error
	latest  atomic.Pointer[edition]
	ticked  atomic.Pointer[time.Time] // when Run last had a turn

	mu      sync.Mutex // held to make the next edition
	checks  map[key]*record
	pending []key // whose record is newer than the edition
	shared  []key // that siblings share
	ear     ear
	orders  *shelf[orders]
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

// NewBoard makes a board that begins with the last snapshot from disk, if it is at most healthd.MaxStale old and of this boot of the host, and
// with the orders from disk. An unreadable file is set aside and told to Settings.Problem: a sidecar that does not run would be worse.
func NewBoard(s Settings) (*Board, error) {
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("name this run of the sidecar: %w", err)
	}
	b := &Board{dir: s.Dir, problem: s.Problem, keep: saveSnapshot, due: make(chan struct{}, 1)}
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
	first := fresh(hex.EncodeToString(id), s.Services)
	if first.Boot = s.Boot; first.Boot == "" {
		first.Boot = boot()
	}
	b.begin(healthd.Restart(first, old, now), s.Services, nil, now)
	return b, nil
}

// Latest is the snapshot of this moment; never nil.
func (b *Board) Latest() *healthd.Snapshot { return b.latest.Load().Snapshot }

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
