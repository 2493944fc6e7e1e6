package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
)

func newStatusCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "every balancer, backend, server: state, who set it, why, since when, what automation would do",
		Long: "Prints every server of every balancer: its state, who set it and why, since when, its sessions, what its sidecar says and what\n" +
			"automation would do. Without the daemon the balancers and the journal are read directly.\n" +
			"Exit status 2 where a balancer cannot be read.",
		Args: argsBetween(0, 0, ""),
	}
	socket := a.socketFlag(cmd)
	watch := cmd.Flags().BoolP("watch", "w", false, "again each second on a terminal; elsewhere a line for each change")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client := a.adminClient(cmd, *socket)
		ask := func(ctx context.Context) (seen, error) { return a.look(ctx, client) }
		if *watch {
			return a.watchStatus(cmd.Context(), ask)
		}
		s, err := ask(cmd.Context())
		if err != nil {
			return err
		}
		if a.json() {
			err = a.printJSON(s)
		} else {
			err = s.write(a.stdout, a.colour(), time.Now())
		}
		return errors.Join(err, s.unreadable())
	}
	return cmd
}

// seen is a status and how it was come by.
type seen struct {
	admin.Status
	Direct bool `json:"direct"` // read without the daemon
}

// look asks the daemon, and reads everything itself where there is none.
func (a *app) look(ctx context.Context, client *admin.Client) (seen, error) {
	status, err := client.Status(ctx)
	if err == nil {
		return seen{Status: status}, nil
	}
	cfg, err := a.withoutDaemon(err)
	if err != nil {
		return seen{}, err
	}
	status, err = lookDirectly(ctx, cfg)
	return seen{Status: status, Direct: true}, err
}

// unreadable ends the command with 2 where a balancer could not be read. What there is to say was said.
func (s seen) unreadable() error {
	for _, b := range s.Balancers {
		if b.Error != "" {
			return exitWith(exitPeer)
		}
	}
	return nil
}

// write prints what everybody must see first, then the tables.
func (s seen) write(w io.Writer, coloured bool, now time.Time) error {
	var text strings.Builder
	for _, line := range s.alarms(now) {
		if coloured {
			line = "\x1b[" + string(red) + "m" + plain(line) + "\x1b[0m"
		} else {
			line = plain(line)
		}
		text.WriteString(line + "\n")
	}
	servers := &table{head: []string{"balancer", "backend", "server", "state", "set by", "why", "since", "sess", "health", "would"}}
	for _, b := range s.Balancers {
		for _, row := range b.Servers {
			servers.add(b.Balancer, row.Backend, row.Server, stateCell(row.State), row.SetBy, row.Why, age(row.Since, now), sessions(row),
				evidenceCell(row), row.Would)
		}
	}
	var err error
	if len(servers.rows) > 0 {
		err = servers.write(&text, coloured)
	} else if len(s.Services) == 0 && len(s.Balancers) == 0 {
		text.WriteString("there are no balancers and no services; `lbmedic config show` prints the configuration\n")
	}
	if len(s.Services) > 0 {
		if len(servers.rows) > 0 {
			text.WriteString("\n")
		}
		err = errors.Join(err, servicesTable(s.Services, now).write(&text, coloured))
	}
	_, werr := io.WriteString(w, text.String())
	return errors.Join(err, werr)
}

// alarms are what changes how all the rest is to be read.
func (s seen) alarms(now time.Time) (lines []string) {
	if s.Direct {
		lines = append(lines, "no daemon: read directly; nobody decides or acts until `lbmedic run`")
	}
	if s.Frozen != nil {
		lines = append(lines, "FROZEN "+s.Frozen.String()+"; automation does nothing until `lbmedic thaw`")
	}
	switch {
	case s.NoJournal != "" && s.Direct:
		lines = append(lines, "JOURNAL: "+s.NoJournal)
	case s.NoJournal != "":
		lines = append(lines, "NO JOURNAL, so nothing is done: "+s.NoJournal)
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

// canRedraw says whether what was printed can be printed over.
func (a *app) canRedraw() bool {
	return isTerminal(a.stdout) && a.getenv("TERM") != "dumb" && !a.json()
}
