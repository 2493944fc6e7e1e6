// Package control is the loop around the decision: it observes a balancer, asks remediate what to do, writes that down,
// does it, and writes down what came of it. One Controller works one balancer; a Book and the Sidecars are shared.
package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/remediate"
)

// Balancer is what a Controller works: HAProxy or nginx.
type Balancer interface {
	// Observe reads the live worker in one batch.
	Observe(ctx context.Context) (Observation, error)
	// Act takes one step in that generation and no other. Its outcome is Unknown unless it is sure.
	Act(ctx context.Context, g remediate.Generation, a remediate.Action) (remediate.Result, string)
	// Use reads what still uses a server, in the live worker and in older ones.
	Use(ctx context.Context, backend, server string) (remediate.Use, error)
}

// Observation is one look at a balancer.
type Observation struct {
	At         time.Time // when the reading began
	Generation remediate.Generation
	Version    string
	Backends   []Backend
}

// Backend is a backend as the live worker reports it, and where the sidecars of its servers are asked.
type Backend struct {
	remediate.Backend
	Sidecars map[string]string // by server; no entry where a server has none
}

// Settings of a Controller.
type Settings struct {
	Name     string // of the balancer
	Policy   func(now time.Time) remediate.Policy
	Interval time.Duration // between two looks when nothing wakes the loop; 0 means 500 ms
}

// Controller keeps one balancer's servers in the state that the decision wants.
type Controller struct {
	settings Settings
	balancer Balancer
	book     *Book
	sidecars *Sidecars
	log      *zap.Logger
	wake     chan struct{}

	turn    sync.Mutex                     // one round or one order at a time: one actor (S6)
	notDone map[remediate.Target]time.Time // since when a command of unknown outcome reads as not carried out

	mu   sync.Mutex // guards what follows
	seen Observation
	plan map[string]remediate.Plan // by backend
	err  error                     // why the last look failed
}

// New makes a Controller; Run starts it.
func New(s Settings, b Balancer, book *Book, sidecars *Sidecars, log *zap.Logger) *Controller {
	if s.Interval <= 0 {
		s.Interval = 500 * time.Millisecond
	}
	c := &Controller{settings: s, balancer: b, book: book, sidecars: sidecars, log: log.With(zap.String("balancer", s.Name)),
		wake: make(chan struct{}, 1), plan: map[string]remediate.Plan{},
		notDone: map[remediate.Target]time.Time{}}
	return c
}

// Wake says "look again". It carries no data and never blocks.
func (c *Controller) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Log is where the controller tells what it does.
func (c *Controller) Log() *zap.Logger { return c.log }

// Run works until ctx is done. A balancer that cannot be read is tried again each interval.
func (c *Controller) Run(ctx context.Context) error {
	stop := c.book.onChange(c.Wake)
	defer stop()
	defer c.sidecars.Forget(c.settings.Name)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.wake:
		}
		begun := time.Now()
		next := c.round(ctx)
		// A balancer of 10,000 servers takes longer to read; it may cost at most a twentieth of a core.
		timer.Reset(min(next, max(c.settings.Interval, 20*time.Since(begun))))
	}
}

// round is one turn of the loop; it returns how long nothing can be due.
func (c *Controller) round(ctx context.Context) time.Duration {
	c.turn.Lock()
	defer c.turn.Unlock()
	seen, err := c.look(ctx)
	if err != nil {
		return c.settings.Interval
	}
	if c.settle(seen) || c.decide(ctx, seen) {
		c.Wake() // something changed: see what it led to
	}
	next := c.settings.Interval
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.plan {
		if !p.Wake.IsZero() {
			next = min(next, max(time.Millisecond, time.Until(p.Wake)))
		}
	}
	return next
}

// look observes the balancer and has its sidecars followed. It tells once when that starts or stops to fail.
func (c *Controller) look(ctx context.Context) (Observation, error) {
	seen, err := c.balancer.Observe(ctx)
	if ctx.Err() != nil {
		return seen, ctx.Err()
	}
	c.mu.Lock()
	before, failed := c.seen, c.err
	c.err = err
	if err == nil {
		c.seen = seen
	} else {
		c.plan = map[string]remediate.Plan{}
	}
	c.mu.Unlock()
	switch {
	case err != nil && failed == nil:
		c.log.Warn("the balancer cannot be read; nothing is done until it can", zap.Error(err))
		c.book.Saw(Sighting{Balancer: c.settings.Name, What: "unreadable", Detail: err.Error()})
	case err == nil && failed != nil:
		c.log.Info("the balancer answers again")
		c.book.Saw(Sighting{Balancer: c.settings.Name, What: "readable"})
	}
	if err != nil {
		return seen, err
	}
	if !seen.Generation.Same(before.Generation) {
		c.book.Saw(Sighting{Balancer: c.settings.Name, What: "generation", Detail: fmt.Sprintf("worker %d, version %s", seen.Generation.PID, seen.Version)})
	}
	urls := map[string]bool{}
	for _, b := range seen.Backends {
		for _, url := range b.Sidecars {
			urls[url] = true
		}
	}
	c.sidecars.Follow(c.settings.Name, urls, c.Wake)
	return seen, nil
}

// settle reads back what became of commands whose outcome is not known, and ends what is remembered of servers that
// are gone. It reports whether anything changed.
func (c *Controller) settle(seen Observation) (changed bool) {
	rows := map[remediate.Target]remediate.Server{}
	for _, b := range seen.Backends {
		for _, s := range b.Servers {
			rows[c.target(b.Name, s.Name)] = s
		}
	}
	ledger := c.book.Ledger()
	for t, p := range ledger.Pending {
		if t.Balancer != c.settings.Name {
			continue
		}
		s, there := rows[t]
		if result := c.readBack(p, s, there, seen); result != remediate.Unknown {
			changed = c.outcome(ledger.PendingAt[t], p.Action, result, "read back") || changed
			delete(c.notDone, t)
		}
	}
	for _, t := range ledger.Targets() {
		if _, there := rows[t]; t.Balancer == c.settings.Name && !there {
			changed = c.forget(ledger, t, seen.Generation) || changed
		}
	}
	return changed
}

// lateAfter is how long a command must read as not carried out before it is taken for lost: a worker that was stopped
// carries it out when it goes on, and may answer a question first.
const lateAfter = time.Second

// readBack resolves one command of unknown outcome.
func (c *Controller) readBack(p remediate.IntentRecord, s remediate.Server, there bool, seen Observation) remediate.Result {
	if !there {
		return remediate.Refused
	}
	done, ok := remediate.ReadBack(p.Action.Verb, s)
	since, before := c.notDone[p.Action.Target]
	switch {
	case !ok:
		return remediate.Unknown
	case done:
		return remediate.Done
	case !p.Generation.Same(seen.Generation):
		return remediate.Refused // the worker that it was meant for is gone, and took it along
	case !before:
		c.notDone[p.Action.Target] = seen.At
		return remediate.Unknown
	case seen.At.Sub(since) < lateAfter:
		return remediate.Unknown
	}
	return remediate.Refused
}

// forget ends what is remembered of a server that the balancer no longer has.
func (c *Controller) forget(ledger *remediate.Ledger, t remediate.Target, g remediate.Generation) (changed bool) {
	for change, is := range map[remediate.Change]bool{
		remediate.OrderEnded:    has(ledger.Orders, t),
		remediate.TakeEnded:     has(ledger.Takes, t),
		remediate.OverrideEnded: has(ledger.Overrides, t),
	} {
		if is {
			changed = c.fact(remediate.Fact{Target: t, Change: change, Reason: remediate.ServerGone}, g) || changed
		}
	}
	return changed
}

func has[V any](m map[remediate.Target]V, t remediate.Target) bool {
	_, ok := m[t]
	return ok
}

// decide plans for each backend and carries the plans out. It reports whether anything was done.
func (c *Controller) decide(ctx context.Context, seen Observation) (acted bool) {
	for i := range seen.Backends {
		view := c.view(seen, i)
		plan := remediate.Decide(view)
		c.publish(view.Backend.Name, plan)
		acted = c.carryOut(ctx, seen.Generation, plan, "") || acted
	}
	return acted
}

// publish keeps the plan for status, and tells people what changed in what is held back.
func (c *Controller) publish(backend string, plan remediate.Plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := map[string]bool{}
	for _, h := range c.plan[backend].Hold {
		told[h.Target.Server+string(h.Reason)] = true
	}
	for _, h := range plan.Hold {
		if !told[h.Target.Server+string(h.Reason)] {
			c.log.Info("held back", zap.Stringer("target", h.Target), zap.String("want", string(h.Want)),
				zap.String("reason", string(h.Reason)), zap.String("detail", h.Detail))
			c.book.Saw(Sighting{Balancer: c.settings.Name, Target: h.Target.String(), What: "held", Detail: h.String()})
		}
	}
	c.plan[backend] = plan
}

// carryOut writes down the facts of a plan and takes its steps. It reports whether anything was done.
func (c *Controller) carryOut(ctx context.Context, g remediate.Generation, plan remediate.Plan, by string) (acted bool) {
	for _, f := range plan.Fact {
		acted = c.fact(f, g) || acted
	}
	for _, a := range plan.Take {
		if ctx.Err() != nil {
			return acted
		}
		_, err := c.step(ctx, g, a, by)
		acted = acted || err == nil
	}
	return acted
}

// step is one action: the intent is on disk before its first byte is sent, the outcome afterwards (S7).
func (c *Controller) step(ctx context.Context, g remediate.Generation, a remediate.Action, by string) (remediate.Result, error) {
	begun := time.Now()
	seq, err := c.book.Append(remediate.KindIntent, remediate.IntentRecord{Action: a, Generation: g, By: by})
	if err != nil {
		c.log.Error("nothing is done that cannot be journaled", zap.Stringer("action", a), zap.Error(err))
		return remediate.Unknown, fmt.Errorf("journal %s: %w", a, err)
	}
	result, detail := c.balancer.Act(ctx, g, a)
	c.outcome(seq, a, result, detail)
	c.log.Info("acted", zap.Stringer("action", a), zap.String("result", string(result)), zap.String("detail", detail),
		zap.Duration("took", time.Since(begun)))
	if result == remediate.Done {
		return result, nil
	}
	return result, fmt.Errorf("%s %s: %s: %s", a.Verb, a.Target, result, detail)
}

func (c *Controller) outcome(seq uint64, a remediate.Action, result remediate.Result, detail string) bool {
	_, err := c.book.Append(remediate.KindOutcome, remediate.OutcomeRecord{Intent: seq, Target: a.Target, Verb: a.Verb, Result: result, Detail: detail})
	if err != nil {
		c.log.Error("an outcome could not be journaled; it is read back later", zap.Stringer("action", a), zap.Error(err))
	}
	return err == nil
}

func (c *Controller) fact(f remediate.Fact, g remediate.Generation) bool {
	_, err := c.book.Append(remediate.KindFact, remediate.FactRecord{Fact: f, Generation: g})
	if err != nil {
		c.log.Error("a fact could not be journaled", zap.Stringer("target", f.Target), zap.String("change", string(f.Change)), zap.Error(err))
		return false
	}
	c.log.Info("noted", zap.Stringer("target", f.Target), zap.String("change", string(f.Change)), zap.String("reason", string(f.Reason)))
	return true
}

// view puts together everything that the decision about one backend depends on.
func (c *Controller) view(seen Observation, i int) remediate.View {
	ledger := c.book.Ledger()
	now := time.Now()
	policy := c.settings.Policy(now)
	v := remediate.View{
		Now: now, Balancer: c.settings.Name, Frozen: ledger.Frozen.String(), NoJournal: c.book.Broken(), Policy: policy,
		Observed: seen.At, Generation: seen.Generation,
		Fleet:   c.sidecars.Fleet(),
		Backend: c.annotate(seen.Backends[i], ledger),
	}
	v.Fleet.Takes = ledger.TakesSince(now.Add(-policy.Window), now)
	for j := range seen.Backends {
		if follows(seen.Backends[j].Backend, v.Backend.Name) {
			v.Followers = append(v.Followers, c.annotate(seen.Backends[j], ledger))
		}
	}
	return v
}

func follows(b remediate.Backend, tracked string) bool {
	for _, s := range b.Servers {
		if len(s.Tracks) > len(tracked) && s.Tracks[:len(tracked)] == tracked && s.Tracks[len(tracked)] == '/' {
			return true
		}
	}
	return false
}

// annotate adds to the rows what the sidecars and the journal know. It leaves the observation as it is.
func (c *Controller) annotate(b Backend, ledger *remediate.Ledger) remediate.Backend {
	out := b.Backend
	out.Servers = make([]remediate.Server, len(b.Servers))
	for i, s := range b.Servers {
		if url := b.Sidecars[s.Name]; url != "" {
			s.Evidence = c.sidecars.Evidence(url)
		}
		ledger.Annotate(c.target(b.Name, s.Name), &s)
		out.Servers[i] = s
	}
	return out
}

func (c *Controller) target(backend, server string) remediate.Target {
	return remediate.Target{Balancer: c.settings.Name, Backend: backend, Server: server}
}
