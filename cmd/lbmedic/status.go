package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

func newStatusCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "every balancer, backend, server: state, who set it, why, since when, what automation would do",
		Long: "Prints every server of every balancer: its state, who set it and why, since when, its sessions, what its sidecar says and what\n" +
			"automation would do. Without the daemon the balancers and the journal are read directly, and without a configuration those\n" +
			"that run here. Exit status 2 where a balancer cannot be read.",
		Example: "  lbmedic status\n" +
			"  lbmedic status -w                 # again each second\n" +
			"  lbmedic status -o json | jq -r '.balancers[].servers[] | select(.state != \"up\") | .server'",
		Args: argsBetween(0, 0, ""),
	}
	socket := a.socketFlag(cmd)
	watch := cmd.Flags().BoolP("watch", "w", false, "again each second on a terminal; elsewhere a line for each change")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := a.adminClient(cmd, *socket)
		if err != nil {
			return err
		}
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
	Direct bool     `json:"direct"`          // read without the daemon
	Found  []string `json:"found,omitempty"` // where there is no configuration either: what was found running
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
	s := seen{Direct: true}
	if cfg.File == "" {
		s.Found = append([]string{"no configuration: this is what runs here; `lbmedic run` would find the same"}, ofBalancers(daemon.Discover(ctx, cfg))...)
	}
	s.Status, err = lookDirectly(ctx, cfg)
	return s, err
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

// canRedraw says whether what was printed can be printed over.
func (a *app) canRedraw() bool {
	return isTerminal(a.stdout) && a.getenv("TERM") != "dumb" && !a.json()
}
