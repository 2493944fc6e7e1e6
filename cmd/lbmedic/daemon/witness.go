package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

// newAdmin makes the admin API with what the configuration adds to it.
func newAdmin(cfg *config.Config, log *zap.Logger) (*admin.Server, error) {
	s := &admin.Server{Socket: cfg.Admin.Socket, Log: log}
	if r := cfg.Admin.Remote; r != nil {
		allow, err := admin.Allowing(r.Allow)
		if err != nil {
			return nil, fmt.Errorf("admin.remote.allow: %w", err)
		}
		s.Remote = &admin.Remote{Listen: r.Listen.String(), Cert: r.Cert, Key: r.Key, ClientCA: r.ClientCA, Allow: allow}
	}
	if cfg.Health == nil {
		return s, nil
	}
	s.DrainWait = cfg.Health.DrainWait
	if c := cfg.Health.Controllers; c != nil {
		var err error
		if s.Witnesses, err = admin.NewWitnesses(admin.WitnessSettings{Controllers: c.URLs, CA: c.CA, Cert: c.Cert, Key: c.Key, Log: log}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// witnessed is what controllers say of a drain, asked again and again beside the wait.
type witnessed struct {
	mu   sync.Mutex
	last presence
}

// witnessBeat is the time between two questions to the controllers.
const witnessBeat = time.Second

// run asks until ctx is done.
func (w *witnessed) run(ctx context.Context, services func() []string, ask func(context.Context, string) admin.ServiceDrain) {
	beat := time.NewTicker(witnessBeat)
	defer beat.Stop()
	for {
		var p presence
		for _, service := range services() {
			p = p.with(ask(ctx, service))
		}
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		w.last = p
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
	}
}

func (w *witnessed) presence() presence {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// with adds what the controllers say of one service. One that does not know says nothing; that no balancer of a controller has the server is no
// news either.
func (p presence) with(d admin.ServiceDrain) presence {
	for _, a := range d.Acks {
		switch a.State {
		case admin.WitnessDrained:
			p.known = true
		case admin.WitnessDraining:
			p.known = true
			p.who = append(p.who, fmt.Sprintf("%s: %s is not drained", a.Controller, d.Service))
		}
	}
	return p
}

// and is what two sources know together.
func (p presence) and(q presence) presence {
	return presence{known: p.known || q.known, who: append(append([]string(nil), p.who...), q.who...)}
}
