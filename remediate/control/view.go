package control

import (
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

// scene is one look put together with what the sidecars and the journal know, once for all backends.
type scene struct {
	seen      Observation
	rows      []remediate.Backend // as Observation.Backends, annotated
	followers [][]int             // by backend: those whose servers track one of it, directly or through others
	view      remediate.View      // what is the same for all backends
}

func (c *Controller) scene(seen Observation) scene {
	ledger, now := c.book.Ledger(), time.Now()
	policy := c.settings.Policy(now)
	s := scene{seen: seen, rows: make([]remediate.Backend, len(seen.Backends)), followers: followers(seen.Backends),
		view: remediate.View{
			Now: now, Balancer: c.settings.Name, Frozen: ledger.Frozen.String(), NoJournal: c.book.Broken(), Denied: seen.Denied,
			Policy: policy, Observed: seen.At, Generation: seen.Generation, Fleet: c.sidecars.Fleet(),
		}}
	s.view.Fleet.Takes = ledger.TakesSince(now.Add(-policy.Window), now)
	for i, b := range seen.Backends {
		s.rows[i] = c.annotate(b, ledger)
	}
	return s
}

// of is everything that the decision about one backend depends on.
func (s scene) of(i int) remediate.View {
	v := s.view
	v.Backend = s.rows[i]
	for _, j := range s.followers[i] {
		v.Followers = append(v.Followers, s.rows[j])
	}
	return v
}

// named is the view of the backend of that name.
func (s scene) named(backend string) (remediate.View, bool) {
	for i, b := range s.rows {
		if b.Name == backend {
			return s.of(i), true
		}
	}
	return remediate.View{}, false
}

// followers finds for each backend those that have a server which tracks one of it, directly or through others. The
// backend itself is none of them.
func followers(backends []Backend) [][]int {
	tracks := map[string]string{} // by "backend/server"
	index := map[string]int{}
	for i, b := range backends {
		index[b.Name] = i
		for _, s := range b.Servers {
			if s.Tracks != "" {
				tracks[b.Name+"/"+s.Name] = s.Tracks
			}
		}
	}
	out := make([][]int, len(backends))
	for i, b := range backends {
		done := map[int]bool{i: true}
		for _, s := range b.Servers {
			at := s.Tracks
			for range len(tracks) { // HAProxy refuses a ring of trackers; it would end here
				backend, _, _ := strings.Cut(at, "/")
				up, ok := index[backend]
				if !ok {
					break
				}
				if !done[up] {
					done[up] = true
					out[up] = append(out[up], i)
				}
				at = tracks[at]
			}
		}
	}
	return out
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
