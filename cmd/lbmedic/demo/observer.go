package demo

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
)

// lookEvery is how often HAProxy is asked. What is measured with it is never too short: a sample's time is when its
// answer was complete.
const lookEvery = 10 * time.Millisecond

// observer reads the state of a backend's servers from HAProxy itself, through its runtime socket.
type observer struct {
	client  *runtime.Client
	backend string
	tell    func(Sighting) // of each change; called in order

	mu      sync.Mutex
	version string
	last    map[string]Sample
	seen    []Sighting
	looks   int
	gap     time.Duration // the longest time between two samples
	at      time.Time
	err     error
	changed chan struct{} // closed and replaced with each look
}

func newObserver(socket, backend string, tell func(Sighting)) *observer {
	return &observer{client: runtime.New(runtime.Settings{Address: socket, Timeout: 2 * time.Second}), backend: backend, tell: tell,
		last: map[string]Sample{}, changed: make(chan struct{})}
}

// Run looks until ctx is done.
func (o *observer) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		now, err := o.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		o.take(now, err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look reads all servers of the backend in one batch.
func (o *observer) look(ctx context.Context) (map[string]Sample, error) {
	now := map[string]Sample{}
	info, err := o.client.Read(ctx,
		runtime.ServerStates(o.backend, func(s *runtime.ServerState) error {
			now[s.Server] = Sample{Routing: sendsTo(s)}
			return nil
		}),
		runtime.Stat(func(r *runtime.StatRow) error {
			if s, ok := now[r.Server]; ok && r.Proxy == o.backend && r.Type == runtime.Server {
				s.State, s.Sessions, s.Queued = r.Status.Raw, r.Sessions, r.Queue
				s.Picked, s.Failed = r.Chosen, r.HTTP5xx
				now[r.Server] = s
			}
			return nil
		}))
	if err != nil {
		return nil, err
	}
	at := time.Now()
	for name, s := range now {
		s.At = at
		now[name] = s
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.version = info.Version
	return now, nil
}

// sendsTo says whether HAProxy balances new requests to the server.
func sendsTo(s *runtime.ServerState) bool {
	up := s.Op == runtime.OpRunning || s.Op == runtime.OpStarting
	return up && !s.Admin.Maint() && !s.Admin.Drain() && s.Weight > 0
}

// take compares with what was seen before.
func (o *observer) take(now map[string]Sample, err error) {
	o.mu.Lock()
	o.err = err
	var news []Sighting
	for name, s := range now {
		before := o.last[name]
		if before.State != s.State || before.Routing != s.Routing {
			news = append(news, Sighting{Server: name, Before: before, Sample: s})
		}
		o.last[name] = s
		if name == appNames[0] {
			if !o.at.IsZero() {
				o.gap = max(o.gap, s.At.Sub(o.at))
			}
			o.at = s.At
			o.looks++
		}
	}
	slices.SortFunc(news, func(a, b Sighting) int { return compareNames(a.Server, b.Server) })
	o.seen = append(o.seen, news...)
	if len(o.seen) > maxSeen { // it may be left running for days
		o.seen = slices.Clone(o.seen[len(o.seen)/2:])
	}
	close(o.changed)
	o.changed = make(chan struct{})
	o.mu.Unlock()
	for _, s := range news {
		o.tell(s)
	}
}

// maxSeen bounds what is remembered; the story has about twenty.
const maxSeen = 10000

// sample is the latest one of a server.
func (o *observer) sample(server string) (Sample, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last[server], o.err
}

// await returns once a sample that was taken after that time is as wanted. What ends it is ctx.
func (o *observer) await(ctx context.Context, server string, after time.Time, wanted func(Sample) bool) error {
	for {
		o.mu.Lock()
		s, changed := o.last[server], o.changed
		o.mu.Unlock()
		if s.At.After(after) && wanted(s) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// sightings are all changes up to now.
func (o *observer) sightings() []Sighting {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen)
}

// effort is how closely HAProxy was watched.
func (o *observer) effort() (version string, looks int, gap time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.version, o.looks, o.gap
}
