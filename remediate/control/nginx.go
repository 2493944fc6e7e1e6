package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig"
	"github.com/lbmedic/lbmedic/lbconfig/nginx"
	"github.com/lbmedic/lbmedic/remediate"
)

// Nginx works one open-source nginx by edits of its configuration. It has no runtime API: a server is out when its line
// says `down`, and each change is a reload. So automation never acts here, and orders need the operator's leave to edit.
type Nginx struct {
	Instance *nginx.Instance
	Edit     bool // the operator allows edits in place

	mu   sync.Mutex
	seen *nginxSeen                 // the last look that went well
	live map[string]remediate.Admin // by row, as of the last look at files that nginx runs with; nil before the first
}

// noEdit is why an order is refused before anything is written down.
const noEdit = "the configuration may not be edited; set `edit: true` for this balancer"

// Observe reads the configuration on disk and finds the master that runs with it. While neither changes it only makes
// sure of that.
func (n *Nginx) Observe(context.Context) (Observation, error) {
	seen, err := n.look()
	if err != nil {
		return Observation{At: time.Now()}, err
	}
	return seen.observation, nil
}

func (n *Nginx) look() (nginxSeen, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if n.seen.stands(now) {
		out := *n.seen
		out.observation.At = now
		return out, nil
	}
	seen, err := n.read(now)
	n.seen = &seen
	if err != nil {
		n.seen = nil
	}
	return seen, err
}

func (n *Nginx) read(now time.Time) (nginxSeen, error) {
	seen := nginxSeen{observation: Observation{At: now}}
	if !n.Edit {
		seen.observation.Denied = noEdit
	}
	master, err := n.master()
	if err != nil {
		return seen, err
	}
	seen.observation.Generation.PID = master.PID
	closure := n.Instance.Load()
	if p, bad := firstError(closure.Problems); bad {
		return seen, fmt.Errorf("read the configuration: %s", p)
	}
	pending, cannot := n.Instance.Pending(closure) // where this cannot be told the files are believed; Act says why
	live := map[string]remediate.Admin{}
	meaning := closure.Meaning()
	for _, u := range meaning.Upstreams {
		b := Backend{Backend: remediate.Backend{Name: u.Name, OrdersOnly: "each change here is a reload; only an operator orders one"}, Sidecars: map[string]string{}}
		for i := range u.Servers {
			row, key := nginxRow(&u.Servers[i]), u.Name+" "+u.Servers[i].Name()
			if pending[u.Servers[i].File.Source.Path] {
				row.Admin = n.lived(key, row.Admin)
			}
			live[key] = row.Admin
			b.Servers = append(b.Servers, row)
		}
		seen.observation.Backends = append(seen.observation.Backends, b)
	}
	seen.bounds = "nothing: worker_shutdown_timeout is not set"
	if d := meaning.WorkerShutdownTimeout; d > 0 {
		seen.bounds = "worker_shutdown_timeout " + d.String()
	}
	if cannot == nil && (len(pending) == 0 || n.live != nil) {
		n.live = live
	}
	seen.stampAll(n.Instance.PIDFile, closure)
	seen.whole = seen.whole && len(pending) == 0 // a reload leaves no trace in the files
	return seen, nil
}

// lived is what nginx runs a server with while its file holds what may not be live yet. What was never seen live counts
// as in service: a server that is taken for drained and is not loses requests when it is stopped.
func (n *Nginx) lived(key string, written remediate.Admin) remediate.Admin {
	if n.live == nil {
		return 0
	}
	if was, ok := n.live[key]; ok {
		return was
	}
	return written
}

func nginxRow(s *nginx.Server) remediate.Server {
	row := remediate.Server{Name: s.Name(), Address: s.Name(), Oper: remediate.OperUp, Weight: s.Weight, InitialWeight: s.Weight, Backup: s.Backup}
	if s.Down {
		row.Admin = remediate.ForcedMaint | remediate.ForcedDrain // nginx has one word for both
	} else if s.Drain {
		row.Admin = remediate.ForcedDrain
	}
	return row
}

func firstError(problems []lbconfig.Problem) (lbconfig.Problem, bool) {
	for _, p := range problems {
		if p.Severity == lbconfig.Error {
			return p, true
		}
	}
	return lbconfig.Problem{}, false
}

// master finds the running master of this configuration.
func (n *Nginx) master() (nginx.Running, error) {
	running, err := nginx.Instances()
	if err != nil {
		return nginx.Running{}, fmt.Errorf("find nginx: %w", err)
	}
	for _, r := range running {
		_, conf, _, _ := r.Arguments.Paths(nginx.Build{Conf: n.Instance.Conf, Prefix: n.Instance.Prefix}, r.Cwd)
		if conf == n.Instance.Conf {
			return r, nil
		}
	}
	return nginx.Running{}, fmt.Errorf("%w: %s", nginx.ErrNoMaster, n.Instance.Conf)
}

// Act takes a server out or puts it back by one word in its line, with validation, reload and proof.
func (n *Nginx) Act(ctx context.Context, _ remediate.Generation, a remediate.Action) (remediate.Result, string) {
	if !n.Edit {
		return remediate.Refused, noEdit
	}
	base := n.Instance.Load()
	edits, err := nginx.SetDown(base, a.Target.Backend, a.Target.Server, a.Verb != remediate.Ready)
	if err != nil {
		return remediate.Refused, text(err)
	}
	if len(edits) == 0 {
		pending, err := n.Instance.Pending(base)
		if err != nil {
			return remediate.Refused, text(err)
		}
		if len(pending) == 0 {
			return remediate.Done, "it is so already"
		} // it is written and perhaps not live, as after a crash before the reload: apply what stands there
	}
	outcome, err := n.Instance.Apply(ctx, base, edits, n.accepts(base))
	switch {
	case err == nil && outcome.Applied:
		return remediate.Done, ""
	case errors.Is(err, nginx.ErrChanged):
		return remediate.Missed, text(err)
	case len(outcome.Kept) > 0:
		return remediate.Unknown, text(err) // somebody else's bytes stand there now
	}
	return remediate.Refused, text(err)
}

// accepts is the probe of the effect: each address that the configuration listens on takes a connection.
func (n *Nginx) accepts(c *nginx.Closure) func(context.Context) error {
	return func(ctx context.Context) error {
		var errs []error
		for _, l := range c.Meaning().Listens {
			if l.Port == "" || l.Context == nginx.Mail || udp(l.Flags) {
				continue
			}
			host := l.Address
			switch host {
			case "*", "0.0.0.0":
				host = "127.0.0.1"
			case "[::]":
				host = "::1"
			}
			if len(host) > 2 && host[0] == '[' {
				host = host[1 : len(host)-1]
			}
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(host, l.Port))
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", l.Place, err))
				continue
			}
			errs = append(errs, conn.Close())
		}
		return errors.Join(errs...)
	}
}

func udp(flags []string) bool {
	for _, f := range flags {
		if f == "udp" || f == "quic" {
			return true
		}
	}
	return false
}

// Use counts the workers that may still send requests to the server: those of before the edit, until they have ended.
// nginx does not tell sessions by server.
func (n *Nginx) Use(_ context.Context, backend, server string) (remediate.Use, error) {
	seen, err := n.look()
	if err != nil {
		return remediate.Use{}, err
	}
	row, ok := seen.observation.row(backend, server)
	if !ok {
		return remediate.Use{}, fmt.Errorf("the configuration has no server %s in upstream %s any more", server, backend)
	}
	use := remediate.Use{InService: row.Admin&remediate.OutOfService == 0, Bounds: seen.bounds}
	workers, err := nginx.Workers(seen.observation.Generation.PID)
	if err != nil {
		return use, err
	}
	for _, w := range workers {
		if w.ShuttingDown {
			use.Older = append(use.Older, remediate.Worker{PID: w.PID, Clients: 1})
		}
	}
	return use, nil
}
