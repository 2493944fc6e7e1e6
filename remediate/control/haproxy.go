package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
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

	mu    sync.Mutex
	gen   runtime.Generation
	model *haproxy.Model // of gen; nil where it could not be read
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
	model := h.know(info)
	seen := Observation{At: begun, Generation: generationOf(info), Version: info.Version}
	at := map[string]int{}
	for i, row := range rows {
		name := backends[i]
		j, ok := at[name]
		if !ok {
			j = len(seen.Backends)
			at[name] = j
			seen.Backends = append(seen.Backends, Backend{Backend: backendOf(name, model), Sidecars: map[string]string{}})
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

// know keeps the process for Act, and reads the configuration again when it is a new one.
func (h *HAProxy) know(info runtime.Info) *haproxy.Model {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := info.Generation()
	if h.model == nil || !g.Same(h.gen) {
		h.model = nil
		if m, err := h.Load(); err == nil {
			h.model = m
		}
	}
	h.gen = g
	return h.model
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
		Checked:  s.Check.Has(runtime.CheckConfigured),
		CheckOff: s.Check.Has(runtime.CheckConfigured) && !s.Check.Has(runtime.CheckEnabled),
	}
	if s.Addr != "-" && s.Port > 0 {
		row.Address = net.JoinHostPort(s.Addr, strconv.Itoa(s.Port))
	}
	switch s.Op {
	case runtime.OpStopped:
		row.Oper = remediate.OperDown
	case runtime.OpStarting, runtime.OpRunning:
		row.Oper = remediate.OperUp
	case runtime.OpStopping:
		row.Oper = remediate.OperStopping
	}
	return row
}

// backendOf is what the configuration says of a backend. Where it could not be read, nothing is taken for harmless:
// the backend takes orders only.
func backendOf(name string, m *haproxy.Model) remediate.Backend {
	b := remediate.Backend{Name: name}
	if m == nil || m.Backend(name) == nil {
		b.OrdersOnly = true
		return b
	}
	b.MapHash = m.Backend(name).MapHash()
	for _, t := range m.Thresholds {
		if t.Backend == name {
			b.Thresholds = append(b.Thresholds, remediate.Threshold{Op: t.Operator, Low: t.Low, High: t.High,
				Place: fmt.Sprintf("%s:%d", t.Place.File, t.Place.Line)})
		}
	}
	return b
}

// persistent reports whether clients may be bound to the server even at weight 0.
func persistent(m *haproxy.Model, backend, server string) bool {
	if m == nil || m.Backend(backend) == nil {
		return true
	}
	p := m.Backend(backend)
	if p.Stick || p.ForcePersist || p.RDPPersist || p.Cookie.Dynamic {
		return true
	}
	if s := p.Server(server); s == nil || p.Cookie.Name != "" && s.Cookie != "" {
		return true
	}
	for _, u := range p.UseServer {
		if u.Server == server || strings.Contains(u.Server, "%[") {
			return true
		}
	}
	return false
}

// sidecar is where the server's sidecar is asked: by the operator's template, or at its check port if that is not the
// server's own port, with what the check asks.
func (h *HAProxy) sidecar(m *haproxy.Model, backend string, row remediate.Server) string {
	host, port, err := net.SplitHostPort(row.Address)
	if err != nil {
		return ""
	}
	if h.Sidecar != nil {
		return h.Sidecar(host, port, row.Name, backend)
	}
	if m == nil || m.Backend(backend) == nil {
		return ""
	}
	p := m.Backend(backend)
	s := p.Server(row.Name)
	if s == nil || !s.Check || s.CheckPort == 0 || strconv.Itoa(s.CheckPort) == port {
		return ""
	}
	if s.CheckAddr != "" {
		host = s.CheckAddr
	}
	uri := p.Check.HTTP.URI
	if !strings.HasPrefix(uri, "/") {
		uri = "/health"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(s.CheckPort)) + uri
}

// Act sends one step's commands in one batch to the worker that was observed, and reads back what it left.
func (h *HAProxy) Act(ctx context.Context, g remediate.Generation, a remediate.Action) (remediate.Result, string) {
	h.mu.Lock()
	expect := h.gen
	h.mu.Unlock()
	if expect.PID != g.PID {
		return remediate.Refused, fmt.Sprintf("worker %d was decided about, and worker %d is there now", g.PID, expect.PID)
	}
	commands, err := commandsOf(a)
	if err != nil {
		return remediate.Refused, err.Error()
	}
	report, err := h.Client.Apply(ctx, expect, commands...)
	switch {
	case err == nil && report.All(runtime.Done):
		return remediate.Done, ""
	case !report.Sent:
		return remediate.Refused, text(err)
	}
	for _, r := range report.Results {
		if r.Outcome != runtime.Refused {
			// Some of the batch may have been carried out: only reading the state back can tell.
			return remediate.Unknown, text(errors.Join(err, report.Failed()))
		}
	}
	return remediate.Refused, text(errors.Join(err, report.Failed()))
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// commandsOf is the batch for an action: the closed set of what is ever sent.
func commandsOf(a remediate.Action) ([]runtime.Command, error) {
	b, s := a.Target.Backend, a.Target.Server
	switch a.Verb {
	case remediate.ForceDown:
		return runtime.Force(b, s), nil
	case remediate.EnableHealth:
		return []runtime.Command{runtime.EnableChecks(b, s)}, nil
	case remediate.ZeroWeight:
		return []runtime.Command{runtime.SetWeight(b, s, runtime.Absolute(0))}, nil
	case remediate.RestoreWeight:
		return []runtime.Command{runtime.SetWeight(b, s, runtime.Absolute(a.Weight))}, nil
	case remediate.Drain:
		return []runtime.Command{runtime.SetState(b, s, runtime.Drain)}, nil
	case remediate.Maint:
		return []runtime.Command{runtime.SetState(b, s, runtime.Maint)}, nil
	case remediate.Ready:
		return []runtime.Command{runtime.SetState(b, s, runtime.Ready)}, nil
	}
	return nil, fmt.Errorf("%s: HAProxy has no such step", a.Verb)
}

// Use reads who still uses a server: in the live worker by `show stat`, in older ones by their clients and sessions.
func (h *HAProxy) Use(ctx context.Context, backend, server string) (remediate.Use, error) {
	var use remediate.Use
	found := false
	info, err := h.Client.Stat(ctx, func(r *runtime.StatRow) error {
		if r.Type == runtime.Server && r.Proxy == backend && r.Server == server {
			found = true
			use.Sessions, use.Queued = int(r.Sessions), int(r.Queue)
		}
		return nil
	})
	switch {
	case err != nil:
		return use, err
	case info.Stopping:
		return use, fmt.Errorf("worker %d is stopping: %w", info.PID, runtime.ErrStopping)
	case !found:
		return use, fmt.Errorf("%s/%s: %w", backend, server, runtime.ErrUnknown)
	}
	use.Bounds = h.bounds(backend)
	if h.Master == nil {
		h.olderOnHost(info.PID, &use)
		return use, nil
	}
	return use, h.olderOfMaster(ctx, backend, server, &use)
}

func (h *HAProxy) olderOfMaster(ctx context.Context, backend, server string, use *remediate.Use) error {
	processes, err := h.Master.Processes(ctx)
	if err != nil {
		return fmt.Errorf("list the workers: %w", err)
	}
	for _, p := range processes.Old {
		w := remediate.Worker{PID: p.PID}
		info, err := h.Master.Read(ctx, p.PID, runtime.Sessions(func(s *runtime.Session) error {
			if !s.CLI() && s.Server != "" && (s.Backend != backend || s.Server != server) {
				w.Elsewhere++
			}
			return nil
		}))
		switch {
		case errors.Is(err, runtime.ErrUnknown):
			continue // it has ended meanwhile
		case err != nil:
			w.Unreadable = text(err)
		}
		w.Clients = info.CurrConns
		use.Older = append(use.Older, w)
	}
	return nil
}

func (h *HAProxy) olderOnHost(live int, use *remediate.Use) {
	if h.Older == nil {
		use.Blind = "there is no master socket to ask for older workers; set master_socket"
		return
	}
	pids, err := h.Older(live)
	if err != nil {
		use.Blind = "older workers on this host cannot be seen: " + text(err)
		return
	}
	for _, pid := range pids {
		use.Older = append(use.Older, remediate.Worker{PID: pid, Clients: 1}) // it lives: that is all that can be known
	}
}

// bounds says what ends the wait for old clients at the latest.
func (h *HAProxy) bounds(backend string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.model == nil {
		return ""
	}
	var out []string
	if d := h.model.Global.HardStopAfter; d > 0 {
		out = append(out, "hard-stop-after "+d.String())
	}
	var client, request time.Duration
	for _, p := range h.model.Proxies {
		if p.Kind != "backend" {
			client, request = max(client, p.Timeouts.Client), max(request, p.Timeouts.HTTPRequest)
		}
	}
	if client > 0 {
		out = append(out, "timeout client "+client.String())
	}
	if request > 0 {
		out = append(out, "timeout http-request "+request.String())
	}
	return strings.Join(out, ", ")
}
