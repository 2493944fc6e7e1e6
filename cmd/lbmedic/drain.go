package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

func newDrainCommand(a *app) *cobra.Command {
	return newOrderCommand(a, remediate.Drain, "no new sessions; those there are finish",
		"Orders servers, or local health services, to take nothing new. With --wait it returns when a server can be stopped\n"+
			"without losing a request: nothing is on it or queued for it, in old workers of the balancer too. For a local health\n"+
			"service that is asked of each controller in health.controllers; without any it waits for health.drain_wait and ends\n"+
			"with status 3, for nobody can tell.",
		"lbmedic drain web/app2 --reason deploy --wait    # before a restart; afterwards: lbmedic ready web/app2",
		"lbmedic drain web/app1 web/app2 --for 30m        # both or, if one name means nothing, none; each ends by itself",
		"lbmedic drain web --for 1h --wait                # beside the app: every balancer is told, every controller asked")
}

func newMaintCommand(a *app) *cobra.Command {
	return newOrderCommand(a, remediate.Maint, "out of service: no sessions, no health checks",
		"Orders servers, or local health services, out of service.",
		"lbmedic maint edge/web/app1 --reason 'new disk'  # until lbmedic ready edge/web/app1",
		"lbmedic maint web/app1 --for 2h                  # an order takes the place of the one before, its end included")
}

func newReadyCommand(a *app) *cobra.Command {
	return newOrderCommand(a, remediate.Ready, "back in service; ends drain and maint",
		"Ends every order on the servers, or local health services, and what automation did to them.",
		"lbmedic ready web/app2",
		"lbmedic ready web/app2 --force                   # although another operator ordered it out")
}

// newOrderCommand is drain, maint and ready.
func newOrderCommand(a *app, want remediate.Verb, short, long string, examples ...string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     string(want) + " NAME…",
		Short:   short,
		Long:    long + "\n\nA NAME is [BALANCER/]BACKEND/SERVER; a server of nginx is its address:port; one word is a local health service.",
		Example: "  " + strings.Join(examples, "\n  "),
		Args:    argsBetween(1, 1000, "names of servers"),
	}
	o := orders{app: a, want: want}
	socket := a.socketFlag(cmd)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for whoever reads it later")
	if want == remediate.Ready {
		cmd.Flags().BoolVar(&o.force, "force", false, "over another operator's order too")
	} else {
		cmd.Flags().BoolVar(&o.force, "force", false, "over another operator's order, and below the capacity floor too: automation\nthen puts back what it has out there, failing or not")
		cmd.Flags().DurationVar(&o.until, "for", 0, "end the order after this time; without it ready ends it")
		cmd.Flags().BoolVar(&o.wait, "wait", false, "return when the servers are drained")
		cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "with --wait: how long")
	}
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if err := o.check(cmd, names); err != nil {
			return err
		}
		var err error
		if o.client, err = a.adminClient(cmd, *socket); err != nil {
			return err
		}
		return o.run(cmd.Context(), names)
	}
	return cmd
}

// orders are one verb for several servers.
type orders struct {
	*app
	client  *admin.Client
	want    remediate.Verb
	reason  string
	until   time.Duration
	force   bool
	wait    bool
	timeout time.Duration
}

// ordered is what became of one name.
type ordered struct {
	Name  string       `json:"name"`
	Done  *admin.Done  `json:"done,omitempty"`
	Drain *admin.Drain `json:"drain,omitempty"` // with --wait: the last that was seen
	Error string       `json:"error,omitempty"`

	Service *admin.ServiceDrain `json:"service_drain,omitempty"` // the same of a local health service: who acknowledged
}

// check refuses what is wrong before anything is done to any of the servers.
func (o *orders) check(cmd *cobra.Command, names []string) error {
	switch {
	case o.until < 0:
		return usageError("--for must not be negative, and %s is", o.until)
	case o.wait && o.timeout <= 0:
		return usageError("--timeout must be more than nothing")
	case !o.wait && cmd.Flags().Changed("timeout"):
		return usageError("--timeout needs --wait%s", seeHelp(cmd, "", ""))
	}
	for _, name := range names {
		if _, err := admin.ParseTarget(name); err != nil {
			return usageError("%s", err)
		}
	}
	return nil
}

// run orders all, also when one is refused: the others were asked for too. The exit status tells that not all went well.
// But where one of several names means nothing, nothing is ordered: it was mistyped, or meant for another host.
func (o *orders) run(ctx context.Context, names []string) error {
	results := make([]ordered, len(names))
	for i, name := range names {
		results[i].Name = name
	}
	failed := o.checkAll(ctx, results)
	if failed == nil {
		failed = o.orderAll(ctx, results)
	}
	if o.json() && ctx.Err() == nil {
		if err := o.printJSON(results); err != nil {
			return err
		}
	}
	return failed
}

// orderAll gives the orders, waits if that was asked for, and returns the first that failed.
func (o *orders) orderAll(ctx context.Context, results []ordered) (failed error) {
	for i := range results {
		done, err := o.client.Order(ctx, o.order(results[i].Name))
		if errors.Is(err, context.Canceled) {
			fmt.Fprintf(o.stderr, "lbmedic: the %s of %s was sent, and may have been taken: `lbmedic status` tells\n", o.want, plain(results[i].Name))
			return err
		}
		if err != nil {
			failed = cmp.Or(failed, o.failed(&results[i], err, len(results) == 1))
			continue
		}
		results[i].Done = &done
		if err := o.tell(done); err != nil {
			return err
		}
	}
	if o.wait {
		failed = cmp.Or(failed, o.await(ctx, results))
	}
	return failed
}

func (o *orders) order(name string) admin.Order {
	return admin.Order{Target: name, Want: o.want, Reason: o.reason, For: admin.Duration(o.until), Force: o.force}
}

// checkAll has each of several names looked at before anything is done.
func (o *orders) checkAll(ctx context.Context, results []ordered) (failed error) {
	if len(results) < 2 {
		return nil
	}
	for i := range results {
		order := o.order(results[i].Name)
		order.Check = true
		_, err := o.client.Order(ctx, order)
		switch {
		case errors.Is(err, admin.ErrNoDaemon):
			return daemonError(err) // the same for every name
		case err != nil:
			failed = cmp.Or(failed, o.failed(&results[i], err, false))
		}
	}
	if failed != nil && ctx.Err() == nil {
		fmt.Fprintln(o.stderr, "lbmedic: nothing was ordered for any of them")
	}
	return failed
}

// tell says what stands now, its end too: an order takes the place of the one before.
func (o *orders) tell(d admin.Done) error {
	switch {
	case o.want == remediate.Ready:
		return o.say("%s: ordered by %s", d.Did, d.By)
	case d.Until.IsZero():
		return o.say("%s: ordered by %s until `lbmedic ready` ends it", d.Did, d.By)
	}
	return o.say("%s: ordered by %s until %s", d.Did, d.By, admin.Clock(d.Until))
}

// failed tells an error at once where more than one can come, so that each has a line of its own.
func (o *orders) failed(r *ordered, err error, alone bool) error {
	err = daemonError(err)
	if errors.Is(err, context.Canceled) {
		return err
	}
	r.Error = err.Error()
	if alone {
		return err
	}
	fmt.Fprintln(o.stderr, "lbmedic: "+plain(fmt.Sprintf("%s %s: %s", o.want, r.Name, err)))
	code := exitLocal
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	return exitWith(code)
}
