package control

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/remediate"
)

// Sidecars follows the sidecars of all servers, by one long poll each, for all controllers of a process.
type Sidecars struct {
	Saw func(...Sighting) // hears which sidecars went silent, and which answer again; nil: nobody. Set before the first Follow

	client *client.Client
	ctx    context.Context
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu  sync.Mutex
	all map[string]*sidecar // by URL
}

type sidecar struct {
	cancel   context.CancelFunc
	wake     map[string]func() // by balancer: who wants to know
	evidence remediate.Evidence
	heard    bool      // it has answered, or asking it has failed
	known    bool      // it has answered before
	foreign  bool      // something else answers there
	silent   time.Time // since when it does not answer; zero: it does
	missed   bool      // and that was told
}

// missedAfter is how long a sidecar that has answered before may be silent until that is told: a restart takes less.
const missedAfter = 3 * time.Second

// NewSidecars makes an empty set; Close ends what Follow starts.
func NewSidecars(c *client.Client) *Sidecars {
	s := &Sidecars{client: c, all: map[string]*sidecar{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close stops following and waits for the last poll to end.
func (s *Sidecars) Close() {
	s.stop()
	s.done.Wait()
}

// Follow has exactly these URLs followed for a balancer. A change of what one of them says calls wake.
func (s *Sidecars) Follow(balancer string, urls map[string]bool, wake func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for url := range urls {
		sc := s.all[url]
		if sc == nil {
			sc = &sidecar{wake: map[string]func(){}}
			s.all[url] = sc
			var ctx context.Context
			ctx, sc.cancel = context.WithCancel(s.ctx)
			s.done.Go(func() { s.client.Follow(ctx, url, func(a client.Answer, err error) { s.hear(url, sc, a, err) }) })
		}
		sc.wake[balancer] = wake
	}
	for url, sc := range s.all {
		if !urls[url] {
			delete(sc.wake, balancer)
		}
		if len(sc.wake) == 0 {
			sc.cancel()
			delete(s.all, url)
		}
	}
}

// Forget ends all following for a balancer.
func (s *Sidecars) Forget(balancer string) { s.Follow(balancer, nil, nil) }

// hear takes one answer. What does not answer is unknown, never failing (S9).
func (s *Sidecars) hear(url string, sc *sidecar, a client.Answer, err error) {
	e := remediate.Evidence{At: time.Now()}
	switch {
	case err != nil:
		e.Detail = healthd.Line(err.Error(), healthd.MaxDetail)
	case a.Starting:
		e.Detail = "the sidecar is starting"
	case a.Admin.State != healthd.Ready:
		e.Detail = "the sidecar says " + a.Admin.State.String() + ": " + a.Admin.Reason
	default:
		e.Status, e.Stale, e.Detail, e.At = a.Status, a.Stale, a.Output, a.Received
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(url, sc, err, time.Now())
	sc.foreign = errors.Is(err, client.ErrNotSidecar)
	sc.known = sc.known || err == nil
	changed := !sc.heard || sc.evidence.Status != e.Status || sc.evidence.Stale != e.Stale
	sc.heard = true
	sc.evidence = e
	if changed {
		for _, wake := range sc.wake {
			wake()
		}
	}
}

// tell writes down that a sidecar died and that it is back, for each balancer that has servers beside it.
func (s *Sidecars) tell(url string, sc *sidecar, err error, now time.Time) {
	what, detail := "", ""
	switch {
	case err == nil && sc.missed:
		what, detail = "sidecar-back", "it was silent for "+now.Sub(sc.silent).Round(time.Second).String()
		fallthrough
	case err == nil:
		sc.silent, sc.missed = time.Time{}, false
	case !sc.known:
	case sc.silent.IsZero():
		sc.silent = now
	case !sc.missed && now.Sub(sc.silent) >= missedAfter:
		sc.missed = true
		what, detail = "sidecar-silent", "its servers are left as they are: "+healthd.Line(err.Error(), healthd.MaxDetail)
	}
	if what == "" || s.Saw == nil {
		return
	}
	for _, balancer := range slices.Sorted(maps.Keys(sc.wake)) {
		s.Saw(Sighting{Balancer: balancer, Target: healthd.Line(url, healthd.MaxDetail), What: what, Detail: detail})
	}
}

// Evidence is what the sidecar at url last said.
func (s *Sidecars) Evidence(url string) remediate.Evidence {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc := s.all[url]; sc != nil {
		return sc.evidence
	}
	return remediate.Evidence{}
}

// Fleet counts the sidecars that ever answered, and those of them that fail or went silent. One that is only now being
// asked counts as silent: the first few answers after a start say nothing about the fleet. One that never did anything
// but fail to answer is not there, and does not count.
func (s *Sidecars) Fleet() remediate.Fleet {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f remediate.Fleet
	for _, sc := range s.all {
		if sc.heard && !sc.known || sc.foreign {
			continue
		}
		f.Targets++
		if st := sc.evidence.Status; st == healthd.Fail || st == healthd.Unknown {
			f.Failing++
		}
	}
	return f
}
