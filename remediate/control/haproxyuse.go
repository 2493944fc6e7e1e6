package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
	"github.com/lbmedic/lbmedic/remediate"
)

// Use reads who still uses a server: in the live worker by `show stat`, beside its admin state of the same moment, in
// older ones by their clients and sessions.
func (h *HAProxy) Use(ctx context.Context, backend, server string) (remediate.Use, error) {
	var use remediate.Use
	found := false
	info, err := h.Client.Read(ctx,
		runtime.ServerStates(backend, func(s *runtime.ServerState) error {
			if s.Server == server {
				// Weight 0 is how an agent says `0%`, and stopped or stopping what a health check that is answered 503 or 404 comes to.
				use.InService = remediate.Admin(s.Admin)&remediate.OutOfService == 0 && s.Weight > 0 && s.Op != runtime.OpStopped && s.Op != runtime.OpStopping
			}
			return nil
		}),
		runtime.Stat(func(r *runtime.StatRow) error {
			if r.Type == runtime.Server && r.Proxy == backend && r.Server == server {
				found = true
				use.Sessions, use.Queued = int(r.Sessions), int(r.Queue)
			}
			return nil
		}))
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
		elsewhere := map[string]bool{} // by client: whether all that it has is on other servers; HTTP/2 has many sessions on one connection
		info, err := h.Master.Read(ctx, p.PID, runtime.Sessions(func(s *runtime.Session) error {
			if !s.CLI() {
				before, known := elsewhere[s.Source]
				elsewhere[s.Source] = (before || !known) && s.Server != "" && (s.Backend != backend || s.Server != server)
			}
			return nil
		}))
		for _, other := range elsewhere {
			if other {
				w.Elsewhere++
			}
		}
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
