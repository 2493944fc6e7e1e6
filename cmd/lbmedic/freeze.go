package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

func newFreezeCommand(a *app) *cobra.Command {
	return newSwitchCommand(a, remediate.KindFreeze, "stop all automation until thaw; orders of operators are still carried out",
		"Stops all automation within a second. It survives restarts, reloads and reboots, and works without the daemon too:\nit then starts frozen.")
}

func newThawCommand(a *app) *cobra.Command {
	return newSwitchCommand(a, remediate.KindThaw, "let automation act again after a freeze",
		"Ends a freeze, whoever ordered it, and the one that lbmedic orders itself where it finds a part of its journal missing.\n"+
			"Look first: `lbmedic status` says who froze, when and why, and what automation would do. Works without the daemon too.")
}

func newSwitchCommand(a *app, kind, short, long string) *cobra.Command {
	cmd := &cobra.Command{Use: kind, Short: short, Long: long, Args: argsBetween(0, 0, "")}
	socket := a.socketFlag(cmd)
	reason := cmd.Flags().String("reason", "", "why, for whoever reads it later")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := a.adminClient(cmd, *socket)
		if err != nil {
			return err
		}
		call := client.Freeze
		if kind == remediate.KindThaw {
			call = client.Thaw
		}
		done, err := call(cmd.Context(), *reason)
		if err != nil {
			done, err = a.switchWithoutDaemon(err, kind, *reason)
		}
		if err != nil {
			return err
		}
		if a.json() {
			return a.printJSON(done)
		}
		return a.say("%s", done.Did)
	}
	return cmd
}

// switchWithoutDaemon writes the journal itself.
func (a *app) switchWithoutDaemon(daemon error, kind, reason string) (done admin.Done, err error) {
	cfg, err := a.withoutDaemon(daemon)
	if err != nil {
		return done, err
	}
	book, err := a.openBook(cfg.State)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	server := admin.Server{Book: book}
	return server.Switch(kind, reason, admin.Name(os.Getuid()))
}

// openBook takes the journal of a state directory for this process. Where a daemon has it, although it did not answer,
// that is told, and so is damage.
func (a *app) openBook(dir string) (*control.Book, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	j, recovered, err := journal.Open(dir, journal.Settings{})
	var locked *journal.LockedError
	switch {
	case errors.As(err, &locked):
		return nil, peerError(fmt.Errorf("process %s has the state directory %s, and does not answer on the admin socket: it may be starting, or listen elsewhere (--socket)",
			locked.PID, locked.Dir))
	case err != nil:
		return nil, fmt.Errorf("open the state directory: %w", err)
	}
	for _, damage := range recovered.Damage {
		if !damage.Torn {
			fmt.Fprintln(a.stderr, "lbmedic: a part of the journal was refused: "+plain(damage.String()))
		}
	}
	book, err := control.NewBook(j, recovered)
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return book, nil
}
