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
		Example: "  lbmedic events -n 20              # the last 20\n" +
			"  lbmedic events -f -n 0            # only what happens from now on\n" +
			"  lbmedic events --after 1042 -o json",
		Args: argsBetween(0, 0, ""),
	}
	r := eventReader{app: a}
	socket := a.socketFlag(cmd)
	cmd.Flags().BoolVarP(&r.follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().Uint64Var(&r.after, "after", 0, "only events behind this number")
	cmd.Flags().IntVarP(&r.limit, "lines", "n", 50, "at most so many of those that there are already; 0 only with -f")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r.tail = !cmd.Flags().Changed("after")
		switch {
		case r.limit < 0 || r.limit > 100_000:
			return usageError("-n must be from 0 to 100000, not %d%s", r.limit, seeHelp(cmd, "", ""))
		case r.limit == 0 && !(r.follow && r.tail):
			return usageError("-n 0 needs -f, and no --after: without them there is nothing to print%s", seeHelp(cmd, "", ""))
		}
		var err error
		if r.client, err = a.adminClient(cmd, *socket); err != nil {
			return err
		}
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
	warned bool // of damage
}

// followPause is how often the journal is looked at while there is no daemon, and how long a daemon that went away is
// waited for.
const followPause = time.Second

func (r *eventReader) run(ctx context.Context) error {
	if r.limit == 0 {
		if err := r.skip(ctx); err != nil {
			return err
		}
	}
	for {
		if err := r.once(ctx, r.follow, r.show); err != nil || !r.follow {
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

// skip goes behind the newest event without printing it.
func (r *eventReader) skip(ctx context.Context) error {
	r.limit = 1
	err := r.once(ctx, false, func(rec journal.Record) error { r.after = rec.Seq; return nil })
	r.tail, r.limit = false, 100_000
	return err
}

// once reads until the source has no more: with a daemon that is followed, until it stops.
func (r *eventReader) once(ctx context.Context, follow bool, each func(journal.Record) error) error {
	err := r.client.Events(ctx, admin.EventQuery{After: r.after, Tail: r.tail, Limit: r.limit, Follow: follow}, each)
	if !errors.Is(err, admin.ErrNoDaemon) {
		return daemonError(err)
	}
	cfg, err := r.withoutDaemon(err)
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
	r.warn(cfg.State)
	if n := len(records); n > r.limit && r.tail {
		records = records[n-r.limit:]
	} else if n > r.limit {
		records = records[:r.limit]
	}
	for _, rec := range records {
		if err := each(rec); err != nil {
			return err
		}
	}
	return nil
}

// warn tells once that events are missing.
func (r *eventReader) warn(dir string) {
	if r.warned {
		return
	}
	if _, err := readLedger(dir); err != nil {
		r.warned = true
		fmt.Fprintln(r.stderr, "lbmedic: "+plain(err.Error()))
	}
}

func (r *eventReader) show(rec journal.Record) error {
	r.after = rec.Seq
	if r.json() {
		return r.printLine(rec)
	}
	_, err := fmt.Fprintln(r.stdout, eventText(rec))
	return err
}
