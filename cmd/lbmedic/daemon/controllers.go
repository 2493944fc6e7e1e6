package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/lbconfig"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// controllers are the loops of one configuration, one for each balancer.
type controllers struct {
	names    []string
	all      map[string]*control.Controller
	alerts   []*alert
	sidecars *control.Sidecars

	mu   sync.Mutex
	next *controllers  // what replaced it
	stop chan struct{} // closed when it was replaced
}

// nginxInterval is how often the configuration of an nginx is read: only people change it.
const nginxInterval = 2 * time.Second

func newControllers(cfg *config.Config, book *control.Book, sidecars *control.Sidecars, log *zap.Logger) *controllers {
	c := &controllers{all: map[string]*control.Controller{}, sidecars: sidecars, stop: make(chan struct{})}
	for _, b := range cfg.Balancers {
		c.names = append(c.names, b.Name)
		c.alerts = append(c.alerts, newAlert(b, book, log))
		settings := control.Settings{Name: b.Name, Policy: func(now time.Time) remediate.Policy { return policyAt(b.Policy, now) }}
		if b.Nginx != nil {
			settings.Interval = nginxInterval
		}
		c.all[b.Name] = control.New(settings, NewBalancer(b), book, sidecars, log)
	}
	return c
}

// inherit has each balancer that old works as well go on where it is there.
func (c *controllers) inherit(old *controllers) {
	for name, next := range c.all {
		if before := old.all[name]; before != nil {
			next.Inherit(before)
		}
	}
}

// swap has run go on with next once everything of c has ended.
func (c *controllers) swap(next *controllers) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = next
	close(c.stop)
}

// run runs every loop until ctx is done, and those that replace them.
func (c *controllers) run(ctx context.Context) error {
	for {
		inner, cancel := context.WithCancel(ctx)
		var loops sync.WaitGroup
		for _, name := range c.names {
			loops.Go(func() {
				if err := c.all[name].Run(inner); err != nil {
					c.all[name].Log().Error("the balancer is not worked any more", zap.Error(err))
				}
			})
		}
		for _, a := range c.alerts {
			loops.Go(func() {
				if err := a.run(inner); err != nil {
					a.log.Error("the balancer's configuration is not watched", zap.Error(err))
				}
			})
		}
		select {
		case <-ctx.Done():
		case <-c.stop:
		}
		cancel()
		loops.Wait()
		if ctx.Err() != nil {
			return nil
		}
		c.mu.Lock()
		next := c.next
		c.mu.Unlock()
		for _, name := range c.names {
			if next.all[name] == nil {
				c.sidecars.Forget(name)
			}
		}
		c = next
	}
}

// NewBalancer builds the adapter of one balancer. It does not connect.
func NewBalancer(b config.Balancer) control.Balancer {
	if b.HAProxy != nil {
		return newHAProxy(b)
	}
	return newNginx(b)
}

func newHAProxy(b config.Balancer) *control.HAProxy {
	h := &control.HAProxy{
		Client: runtime.New(runtime.Settings{Address: b.HAProxy.Socket}),
		Load:   func() (*haproxy.Model, error) { return loadModel(b.HAProxy.Config) },
		Older:  olderWorkers,
	}
	if b.HAProxy.MasterSocket != "" {
		h.Master = runtime.NewMaster(runtime.Settings{Address: b.HAProxy.MasterSocket})
	}
	if b.Sidecar != "" {
		h.Sidecar = b.Sidecar.Expand
	}
	return h
}

// olderWorkers are the workers of the same HAProxy on this host that are older than the live one.
func olderWorkers(live int) ([]int, error) {
	processes, err := haproxy.Running("/proc")
	if err != nil {
		return nil, err
	}
	for _, instance := range haproxy.Instances(processes) {
		i := slices.IndexFunc(instance.Workers, func(p haproxy.Process) bool { return p.PID == live })
		if i < 0 {
			continue
		}
		var older []int
		for _, w := range instance.Workers {
			if w.PID != live && w.Start <= instance.Workers[i].Start {
				older = append(older, w.PID)
			}
		}
		return older, nil
	}
	return nil, fmt.Errorf("worker %d, which answers on the runtime socket, is not among the processes of this host", live)
}

// loadModel reads what the configuration means. A file that cannot be read leaves it unknown; one that HAProxy would
// refuse is still better than none, for the running worker came from an earlier version of it.
func loadModel(paths []string) (*haproxy.Model, error) {
	files, problems := haproxy.Load("", paths...)
	for _, p := range problems {
		if p.Severity == lbconfig.Error && (p.Rule == "read" || p.Rule == "size") {
			return nil, errors.New(p.String())
		}
	}
	m, _ := files.Model(haproxy.Host{})
	return &m, nil
}

// policyAt is what a balancer's policy means for a decision at that time.
func policyAt(p config.Policy, now time.Time) remediate.Policy {
	out := remediate.DefaultPolicy()
	if p.Mode == config.ModeEnforce {
		out.Mode = remediate.Enforce
	}
	out.MinPercent = p.Capacity.MinPercentAt(now)
	out.MaxEjectedPercent = p.Capacity.MaxEjectedPercent
	out.MinServers = p.Capacity.MinServers
	out.AllowMapHash = p.Hash == config.HashAllow
	return out
}
