package control

import (
	"fmt"
	"time"

	"github.com/lbmedic/lbmedic/remediate"
)

// Status is what one balancer looks like now.
type Status struct {
	Balancer   string               `json:"balancer"`
	Mode       remediate.Mode       `json:"mode"`
	Version    string               `json:"version,omitempty"`
	Generation remediate.Generation `json:"generation"`
	Read       time.Time            `json:"read,omitzero"`
	Error      string               `json:"error,omitempty"`
	Denied     string               `json:"denied,omitempty"` // why it takes no commands from us
	Frozen     string               `json:"frozen,omitempty"`
	NoJournal  string               `json:"no_journal,omitempty"`
	Servers    []ServerStatus       `json:"servers"`
}

// ServerStatus is one row: what state it is in, who set it and why, and what automation would do.
type ServerStatus struct {
	Backend  string             `json:"backend"`
	Server   string             `json:"server"`
	Address  string             `json:"address,omitempty"`
	State    string             `json:"state"`
	SetBy    string             `json:"set_by,omitempty"`
	Why      string             `json:"why,omitempty"`
	Since    time.Time          `json:"since,omitzero"`
	Weight   int                `json:"weight"`
	Sessions int                `json:"sessions"`
	Queued   int                `json:"queued"`
	Backup   bool               `json:"backup,omitempty"`
	Sidecar  string             `json:"sidecar,omitempty"` // its URL
	Evidence remediate.Evidence `json:"evidence"`
	Would    string             `json:"would,omitempty"`
}

// Status is the last look, annotated.
func (c *Controller) Status() Status {
	c.mu.Lock()
	seen, plans, err := c.seen, c.plan, c.err
	c.mu.Unlock()
	ledger := c.book.Ledger()
	out := Status{Balancer: c.settings.Name, Mode: c.settings.Policy(time.Now()).Mode, Version: seen.Version, Generation: seen.Generation,
		Read: seen.At, Denied: seen.Denied, Frozen: ledger.Frozen.String(), NoJournal: c.book.Broken(), Servers: []ServerStatus{}}
	if err != nil {
		out.Error = text(err)
	}
	for _, b := range seen.Backends {
		annotated := c.annotate(b, ledger)
		for _, s := range annotated.Servers {
			row := Row(b.Name, s)
			row.Sidecar = b.Sidecars[s.Name]
			row.Would = would(plans[b.Name], s.Name)
			out.Servers = append(out.Servers, row)
		}
	}
	if !seen.At.IsZero() {
		out.Servers = append(out.Servers, c.gone(seen, ledger)...)
	}
	return out
}

// gone are rows for the orders that stand on servers which the balancer no longer has.
func (c *Controller) gone(seen Observation, ledger *remediate.Ledger) (rows []ServerStatus) {
	there := map[remediate.Target]bool{}
	for _, b := range seen.Backends {
		for _, s := range b.Servers {
			there[c.target(b.Name, s.Name)] = true
		}
	}
	for _, t := range ledger.Targets() {
		if order, stands := ledger.Orders[t]; stands && t.Balancer == c.settings.Name && !there[t] {
			rows = append(rows, ServerStatus{Backend: t.Backend, Server: t.Server, State: "gone", SetBy: order.By, Why: order.Reason, Since: order.At,
				Would: fmt.Sprintf("%s once it is back; the order ends when it has been gone for %s", order.Want, goneFor)})
		}
	}
	return rows
}

// Row is a server without its sidecar and its plan. It says who set the state of a server: an operator through us, automation, the balancer's own check, or somebody.
func Row(backend string, s remediate.Server) ServerStatus {
	row := ServerStatus{Backend: backend, Server: s.Name, Address: s.Address, Weight: s.Weight, Sessions: s.Sessions, Queued: s.Queued,
		Backup: s.Backup, Evidence: s.Evidence, State: "up"}
	switch {
	case s.Admin&remediate.OutOfService != 0:
		row.State = s.Admin.String()
	case s.Oper == remediate.OperUnknown, s.Oper != remediate.OperUp:
		row.State = s.Oper.String()
	case s.Weight == 0:
		row.State = "weight 0"
	case !s.Checked:
		row.State = "up (no check)"
	}
	switch {
	case s.Order != nil:
		row.SetBy, row.Why, row.Since = s.Order.By, s.Order.Reason, s.Order.At
	case s.Admin&remediate.ConfigMaint != 0:
		row.SetBy, row.Why = "config", "disabled"
	case s.Admin&remediate.OutOfService != 0:
		row.SetBy = "somebody"
	case s.Take != nil:
		row.SetBy, row.Why, row.Since = "automation", string(s.Take.Reason), s.Take.At
		if s.Take.Detail != "" {
			row.Why += ": " + s.Take.Detail
		}
	case s.ForcedDown():
		row.SetBy, row.Why = "somebody", "health forced at the socket"
	case s.Oper == remediate.OperDown:
		row.SetBy = "balancer's check"
	}
	if s.Pending {
		row.Why += " (the outcome of a command is being read back)"
	}
	return row
}

// would is the first thing that the plan says of a server.
func would(p remediate.Plan, server string) string {
	for _, a := range p.Take {
		if a.Target.Server == server {
			return string(a.Verb) + ": " + string(a.Reason)
		}
	}
	for _, h := range p.Hold {
		if h.Target.Server == server {
			s := "hold " + string(h.Want) + ": " + string(h.Reason)
			if h.Detail != "" {
				s += " (" + h.Detail + ")"
			}
			return s
		}
	}
	return ""
}
