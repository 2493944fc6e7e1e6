package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
	"github.com/lbmedic/lbmedic/remediate"
)

// HAProxy works one HAProxy through its runtime API. What the API does not tell (persistence, hash tables, thresholds,
// what the check asks) comes from its configuration, read again with each new worker.
type HAProxy struct {
	Client  *runtime.Client
	Master  *runtime.Master                                    // nil: no master socket
	Load    func() (*haproxy.Model, error)                     // reads the configuration
	Sidecar func(address, port, server, backend string) string // the operator's URL template; nil: the check port decides
	Older   func(pid int) ([]int, error)                       // older workers on this host, where there is no master socket; nil: cannot be told

	mu      sync.Mutex
	gen     runtime.Generation
	model   *haproxy.Model     // of gen; nil where it could not be read
	read    time.Time          // when the model was
	allowed runtime.Generation // the process that was found to take commands
}

// Observe reads `show servers state` and `show stat` in one batch.
func (h *HAProxy) Observe(ctx context.Context) (Observation, error) {
	begun := time.Now()
	var rows []remediate.Server
	var backends []string // of rows
	index := map[[2]string]int{}
	info, err := h.Client.Read(ctx,
		runtime.ServerStates("", func(s *runtime.ServerState) error {
			index[[2]string{s.Backend, s.Server}] = len(rows)
			rows, backends = append(rows, serverOf(s)), append(backends, s.Backend)
			return nil
		}),
		runtime.Stat(func(r *runtime.StatRow) error {
			if i, ok := index[[2]string{r.Proxy, r.Server}]; ok && r.Type == runtime.Server {
				rows[i].Backup, rows[i].Tracks = r.Backup > 0, r.Tracked
				rows[i].Sessions, rows[i].Queued = int(r.Sessions), int(r.Queue)
			}
			return nil
		}))
	switch {
	case err != nil:
		return Observation{}, err
	case info.Stopping:
		return Observation{}, fmt.Errorf("worker %d is stopping: %w", info.PID, runtime.ErrStopping)
	}
	model, unread := h.know(info, backends)
	seen := Observation{At: begun, Generation: generationOf(info), Version: info.Version, Denied: h.denied(ctx, info.Generation())}
	at := map[string]int{}
	for i, row := range rows {
		name := backends[i]
		j, ok := at[name]
		if !ok {
			j = len(seen.Backends)
			at[name] = j
			seen.Backends = append(seen.Backends, Backend{Backend: backendOf(name, model, unread), Sidecars: map[string]string{}})
		}
		b := &seen.Backends[j]
		row.Persistent = persistent(model, name, row.Name)
		b.Servers = append(b.Servers, row)
		if url := h.sidecar(model, name, row); url != "" {
			b.Sidecars[row.Name] = url
		}
	}
	return seen, nil
}

// readAgain is how often a configuration is read again that lacks a backend of the live worker.
const readAgain = 2 * time.Second

// know keeps the process for Act, and reads the configuration again when it is a new one, and while it lacks one of the
// live backends: it was broken when it was read, and may be whole by now.
func (h *HAProxy) know(info runtime.Info, backends []string) (model *haproxy.Model, unread string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := info.Generation()
	switch {
	case h.model == nil || !g.Same(h.gen):
		m, err := h.Load()
		if err != nil {
			m = nil
		}
		h.model, unread, h.read = m, text(err), time.Now()
	case time.Since(h.read) >= readAgain && !covers(h.model, backends):
		h.read = time.Now()
		if m, err := h.Load(); err == nil && covers(m, backends) {
			h.model = m
		}
	}
	h.gen = g
	return h.model, unread
}

// covers reports whether the configuration has every backend.
func covers(m *haproxy.Model, backends []string) bool {
	for i, name := range backends {
		if (i == 0 || name != backends[i-1]) && m.Backend(name) == nil {
			return false
		}
	}
	return true
}

// denied says why HAProxy takes no commands on this socket. Each process is asked once, and again as long as it refuses.
func (h *HAProxy) denied(ctx context.Context, g runtime.Generation) string {
	h.mu.Lock()
	allowed := !h.allowed.IsZero() && h.allowed.Same(g)
	h.mu.Unlock()
	if allowed {
		return ""
	}
	access, err := h.Client.SelfTest(ctx)
	if errors.Is(err, runtime.ErrLevel) {
		return text(err)
	}
	if err == nil {
		h.mu.Lock()
		h.allowed = access.Info.Generation()
		h.mu.Unlock()
	}
	return "" // what else is wrong shows in the next look
}

func generationOf(info runtime.Info) remediate.Generation {
	g := remediate.Generation{PID: info.PID}
	if info.Started > 0 {
		g.Started = time.Unix(info.Started, 0).UTC()
	}
	return g
}

func serverOf(s *runtime.ServerState) remediate.Server {
	row := remediate.Server{
		Name: s.Server, Admin: remediate.Admin(s.Admin), Weight: s.Weight, InitialWeight: s.InitialWeight,
		Checked:      s.Check.Has(runtime.CheckConfigured),
		CheckOff:     s.Check.Has(runtime.CheckConfigured) && !s.Check.Has(runtime.CheckEnabled),
		CheckRunning: s.Check.Has(runtime.CheckRunning),
		Agent:        s.Agent.Has(runtime.CheckConfigured) && s.Agent.Has(runtime.CheckEnabled),
	}
	if s.Addr != "-" && s.Port > 0 {
		row.Address = net.JoinHostPort(s.Addr, strconv.Itoa(s.Port))
	}
	switch s.Op {
	case runtime.OpStopped:
		row.Oper = remediate.OperDown
	case runtime.OpStarting:
		row.Oper = remediate.OperStarting
	case runtime.OpRunning:
		row.Oper = remediate.OperUp
	case runtime.OpStopping:
		row.Oper = remediate.OperStopping
	}
	return row
}
