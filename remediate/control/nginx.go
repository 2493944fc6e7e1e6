package control

import (
	"context"
	"errors"
	"fmt"
	"net"
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
}

// Observe reads the configuration on disk and finds the master that runs with it.
func (n *Nginx) Observe(context.Context) (Observation, error) {
	seen := Observation{At: time.Now()}
	master, err := n.master()
	if err != nil {
		return seen, err
	}
	seen.Generation.PID = master.PID
	closure := n.Instance.Load()
	if p, bad := firstError(closure.Problems); bad {
		return seen, fmt.Errorf("read the configuration: %s", p)
	}
	for _, u := range closure.Meaning().Upstreams {
		b := Backend{Backend: remediate.Backend{Name: u.Name, OrdersOnly: "each change here is a reload; only an operator orders one"}, Sidecars: map[string]string{}}
		for i := range u.Servers {
			b.Servers = append(b.Servers, nginxRow(&u.Servers[i]))
		}
		seen.Backends = append(seen.Backends, b)
	}
	return seen, nil
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
		return remediate.Refused, "the configuration may not be edited; set `edit: true` for this balancer"
	}
	base := n.Instance.Load()
	edits, err := nginx.SetDown(base, a.Target.Backend, a.Target.Server, a.Verb != remediate.Ready)
	if err != nil {
		return remediate.Refused, text(err)
	}
	if len(edits) == 0 {
		return remediate.Done, "it is so already"
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
func (n *Nginx) Use(context.Context, string, string) (remediate.Use, error) {
	var use remediate.Use
	master, err := n.master()
	if err != nil {
		return use, err
	}
	workers, err := nginx.Workers(master.PID)
	if err != nil {
		return use, err
	}
	for _, w := range workers {
		if w.ShuttingDown {
			use.Older = append(use.Older, remediate.Worker{PID: w.PID, Clients: 1})
		}
	}
	if d := n.Instance.Load().Meaning().WorkerShutdownTimeout; d > 0 {
		use.Bounds = "worker_shutdown_timeout " + d.String()
	} else {
		use.Bounds = "nothing: worker_shutdown_timeout is not set"
	}
	return use, nil
}
