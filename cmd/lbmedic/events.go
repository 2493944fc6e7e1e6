package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

func newEventsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "the journal: orders, what was done and why, what came of it",
		Long: "Prints the journal, oldest first: what operators ordered, what was about to be done, what came of it, what was seen.\n" +
			"Works without the daemon too. With -o json each event is one line of JSON.",
		Args: argsBetween(0, 0, ""),
	}
	r := eventReader{app: a}
	socket := a.socketFlag(cmd)
	cmd.Flags().BoolVarP(&r.follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().Uint64Var(&r.after, "after", 0, "only events behind this number")
	cmd.Flags().IntVarP(&r.limit, "lines", "n", 50, "at most so many of those that there are already")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if r.limit < 1 || r.limit > 100_000 {
			return usageError("-n must be from 1 to 100000, not %d%s", r.limit, seeHelp(cmd, "", ""))
		}
		r.tail = !cmd.Flags().Changed("after")
		r.client = a.adminClient(cmd, *socket)
		return r.run(cmd.Context())
	}
	return cmd
}

// eventReader prints events from the daemon, or from the state directory while there is no daemon.
type eventReader struct {
	*app
	client *admin.Client
	follow bool
	tail   bool // the newest; else those behind after
	after  uint64
	limit  int
}

// followPause is how often the journal is looked at while there is no daemon, and how long a daemon that went away is
// waited for.
const followPause = time.Second

func (r *eventReader) run(ctx context.Context) error {
	for {
		if err := r.once(ctx); err != nil || !r.follow {
			return err
		}
		r.tail, r.limit = false, 100_000
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followPause):
		}
	}
}

// once reads until the source has no more: with a daemon that is followed, until it stops.
func (r *eventReader) once(ctx context.Context) error {
	err := r.client.Events(ctx, admin.EventQuery{After: r.after, Tail: r.tail, Limit: r.limit, Follow: r.follow}, r.show)
	if !errors.Is(err, admin.ErrNoDaemon) {
		return daemonError(err)
	}
	cfg, err := r.loadConfig()
	if err != nil {
		return err
	}
	if r.tail {
		r.after = 0
	}
	records, err := journal.History(cfg.State, r.after, 1<<30)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; lbmedic has never run with this configuration", err)
	case err != nil:
		return err
	}
	if n := len(records); n > r.limit && r.tail {
		records = records[n-r.limit:]
	} else if n > r.limit {
		records = records[:r.limit]
	}
	for _, rec := range records {
		if err := r.show(rec); err != nil {
			return err
		}
	}
	return nil
}

func (r *eventReader) show(rec journal.Record) error {
	r.after = rec.Seq
	if r.json() {
		return r.printLine(rec)
	}
	_, err := fmt.Fprintln(r.stdout, eventText(rec))
	return err
}
