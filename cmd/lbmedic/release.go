package main

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

func newReleaseCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release [--all] [NAME…]",
		Short: "undo what automation took out, from the journal, with or without the daemon",
		Long: "Undoes takes of automation that are open: all of them, those of a BALANCER, or of one [BALANCER/]BACKEND/SERVER.\n" +
			"What operators ordered is left as it is. Automation does not take a released server again before its sidecar passes.",
	}
	socket := a.socketFlag(cmd)
	all := cmd.Flags().Bool("all", false, "everything that automation has out")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if *all == (len(names) > 0) {
			return usageError("%s needs either --all or names of balancers or servers%s", cmd.CommandPath(), seeHelp(cmd, "", ""))
		}
		what := admin.Release{All: *all, Targets: names}
		client, err := a.adminClient(cmd, *socket)
		if err != nil {
			return err
		}
		released, err := client.Release(cmd.Context(), what)
		if err != nil {
			released, err = a.releaseWithoutDaemon(cmd, err, what)
		}
		if err != nil {
			return err
		}
		return errors.Join(a.tellReleased(released), problemsOf(released))
	}
	return cmd
}

func problemsOf(r admin.Released) error {
	if len(r.Problems) == 0 {
		return nil
	}
	return peerError(errors.New(r.Problems[0]))
}

func (a *app) tellReleased(r admin.Released) error {
	if a.json() {
		return a.printJSON(r)
	}
	for _, t := range r.Released {
		if err := a.say("released %s", t); err != nil {
			return err
		}
	}
	return a.say("%s", r.Did)
}

// releaseWithoutDaemon reads the journal and works the balancers itself, with the lock held.
func (a *app) releaseWithoutDaemon(cmd *cobra.Command, daemonErr error, what admin.Release) (out admin.Released, err error) {
	cfg, err := a.withoutDaemon(daemonErr)
	if err != nil {
		return out, err
	}
	if _, err := journal.Inspect(cfg.State); errors.Is(err, fs.ErrNotExist) && what.All {
		return admin.Released{Done: admin.Done{Did: "automation has nothing out: there is no journal in " + cfg.State}, Released: []remediate.Target{}}, nil
	}
	book, err := a.openBook(cfg.State)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	sidecars := control.NewSidecars(client.New(client.Settings{}))
	defer sidecars.Close()
	server := admin.Server{Book: book, Controllers: map[string]*control.Controller{}}
	for _, b := range cfg.Balancers {
		settings := control.Settings{Name: b.Name, Policy: anyPolicy}
		server.Controllers[b.Name] = control.New(settings, daemon.NewBalancer(b), book, sidecars, zap.NewNop())
	}
	out, err = server.Release(cmd.Context(), what, admin.Name(os.Getuid()))
	return out, daemonError(err)
}

// anyPolicy will do: what is released does not depend on a policy.
func anyPolicy(time.Time) remediate.Policy { return remediate.DefaultPolicy() }
