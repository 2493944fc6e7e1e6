package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// write prints what everybody must see first, then each balancer in a line, then the tables.
func (s seen) write(w io.Writer, coloured bool, now time.Time) error {
	var text strings.Builder
	for _, line := range s.alarms(now) {
		text.WriteString(paint(line, red, coloured) + "\n")
	}
	for _, line := range s.Found {
		text.WriteString(paint(line, plainText, coloured) + "\n")
	}
	for _, b := range s.Balancers {
		text.WriteString(paint(heading(b), plainText, coloured) + "\n")
	}
	servers := &table{head: []string{"balancer", "backend", "server", "state", "set by", "why", "since", "sess", "health", "would"}}
	for _, b := range s.Balancers {
		for _, row := range b.Servers {
			servers.add(serverCells(b, row, now)...)
		}
	}
	var err error
	if len(servers.rows) > 0 {
		text.WriteString("\n")
		err = servers.write(&text, coloured)
	} else if len(s.Services) == 0 && len(s.Balancers) == 0 {
		text.WriteString(s.nothing() + "\n")
	}
	if len(s.Services) > 0 {
		if text.Len() > 0 {
			text.WriteString("\n")
		}
		err = errors.Join(err, servicesTable(s.Services, now).write(&text, coloured))
	}
	if len(s.Views) > 0 {
		text.WriteString("\n")
		err = errors.Join(err, viewsTable(s.Views, now).write(&text, coloured))
	}
	_, werr := io.WriteString(w, text.String())
	return errors.Join(err, werr)
}

func (s seen) nothing() string {
	if s.Direct && s.Found != nil {
		return "there is no configuration, and no HAProxy or nginx that can be read was found running here"
	}
	if s.Direct {
		return "there are no balancers; what the services say only the daemon knows, or `lbmedic check`"
	}
	return "there are no balancers and no services; `lbmedic config show` prints the configuration"
}

func paint(line string, c colour, coloured bool) string {
	if !coloured || c == plainText {
		return plain(line)
	}
	return "\x1b[" + string(c) + "m" + plain(line) + "\x1b[0m"
}

// heading is one balancer: whether automation acts there, what it is, and who must be asked for more.
func heading(b control.Status) string {
	parts := []string{string(b.Mode)}
	switch {
	case b.Version != "":
		parts = append(parts, "HAProxy "+b.Version, fmt.Sprintf("worker %d", b.Generation.PID))
	case b.Generation.PID != 0:
		parts = append(parts, "nginx, orders only", fmt.Sprintf("master %d", b.Generation.PID))
	}
	if b.Frozen != "" {
		parts = append(parts, "frozen")
	}
	if b.Error != "" {
		parts = append(parts, "unreadable")
		if !b.Read.IsZero() {
			parts[len(parts)-1] += "; what is below is as of " + admin.Clock(b.Read)
		}
	}
	return b.Balancer + ": " + strings.Join(parts, ", ")
}

// serverCells are one row. What is not read now is not shown in the colours of what is.
func serverCells(b control.Status, row control.ServerStatus, now time.Time) []any {
	out := []any{b.Balancer, row.Backend, row.Server, stateCell(row.State), row.SetBy, row.Why, age(row.Since, now), sessions(row), healthCell(row), row.Would}
	if b.Error == "" {
		return out
	}
	out[3] = "was " + row.State
	for i, v := range out {
		c, ok := v.(cell)
		if !ok {
			c.text = fmt.Sprint(v)
		}
		c.colour = dim
		out[i] = c
	}
	return out
}

// alarms are what changes how all the rest is to be read.
func (s seen) alarms(now time.Time) (lines []string) {
	if s.Direct {
		lines = append(lines, "no daemon: read directly; nobody decides or acts until `lbmedic run`")
	}
	if s.Frozen != nil {
		lines = append(lines, "FROZEN "+admin.FrozenBy(s.Frozen)+"; automation does nothing until `lbmedic thaw`")
	}
	switch {
	case s.NoJournal != "" && s.Direct:
		lines = append(lines, "JOURNAL: "+s.NoJournal)
	case s.NoJournal != "":
		lines = append(lines, "NO JOURNAL, so nothing is done: "+s.NoJournal)
	}
	if c := s.Config; c != nil && c.Wrong != "" {
		lines = append(lines, fmt.Sprintf("CONFIGURATION not taken, the one from %s ago goes on: %s", age(c.At, now), c.Wrong))
	}
	for _, svc := range s.Services {
		if len(svc.Suspect) > 0 {
			lines = append(lines, fmt.Sprintf("SUSPECT %s of %s: it fails, and %[2]s stays in service, for it fails elsewhere too or nobody can say",
				strings.Join(svc.Suspect, ", "), svc.Name))
		}
	}
	for _, b := range s.Balancers {
		switch {
		case b.Error != "" && !b.Read.IsZero():
			lines = append(lines, fmt.Sprintf("UNREADABLE %s, last read %s ago: %s", b.Balancer, age(b.Read, now), b.Error))
		case b.Error != "":
			lines = append(lines, fmt.Sprintf("UNREADABLE %s: %s", b.Balancer, b.Error))
		case b.Denied != "":
			lines = append(lines, fmt.Sprintf("NO COMMANDS are taken by %s: %s", b.Balancer, b.Denied))
		case b.Read.IsZero():
			lines = append(lines, b.Balancer+" has not been read yet")
		}
	}
	return lines
}

func servicesTable(services []healthd.Service, now time.Time) *table {
	t := &table{head: []string{"service", "health", "since", "order", "by", "why"}}
	for _, s := range services {
		health, order, by, why := statusCell(s.Status), cell{}, "", ""
		if s.Stale {
			health.text += " (stale)"
		}
		if s.Admin.State != healthd.Ready {
			order, by, why = stateCell(s.Admin.State.String()), s.Admin.By, s.Admin.Reason
		} else if c := s.Blame(); c != nil {
			why = c.Name + colon(c.Verdict.Last.Detail)
		}
		t.add(s.Name, health, age(s.Since, now), order, by, why)
	}
	return t
}

func stateCell(state string) cell {
	switch {
	case strings.HasPrefix(state, "up"):
		return cell{state, green}
	case state == "down":
		return cell{state, red}
	}
	return cell{state, yellow}
}

func evidenceCell(row control.ServerStatus) cell {
	if row.Sidecar == "" {
		return cell{"-", dim}
	}
	c := statusCell(row.Evidence.Status)
	if row.Evidence.Stale {
		c.text += " (stale)"
	}
	return c
}

// healthCell is the evidence with its detail, which may change with every check.
func healthCell(row control.ServerStatus) cell {
	c := evidenceCell(row)
	if row.Sidecar != "" && row.Evidence.Status != healthd.Pass {
		c.text += colon(row.Evidence.Detail)
	}
	return c
}

func sessions(row control.ServerStatus) string {
	if row.Queued > 0 {
		return fmt.Sprintf("%d+%d queued", row.Sessions, row.Queued)
	}
	return fmt.Sprint(row.Sessions)
}

// age is how long ago something was, in its two largest units.
func age(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := max(0, now.Sub(t))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}
