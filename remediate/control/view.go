package control

import (
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

// view puts together everything that the decision about one backend depends on.
func (c *Controller) view(seen Observation, i int) remediate.View {
	ledger := c.book.Ledger()
	now := time.Now()
	policy := c.settings.Policy(now)
	v := remediate.View{
		Now: now, Balancer: c.settings.Name, Frozen: ledger.Frozen.String(), NoJournal: c.book.Broken(), Denied: seen.Denied, Policy: policy,
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
