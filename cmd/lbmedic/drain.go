package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

func newDrainCommand(a *app) *cobra.Command {
	return newOrderCommand(a, remediate.Drain, "no new sessions; those there are finish",
		"Orders servers, or local health services, to take nothing new. With --wait it returns when a server can be stopped\n"+
			"without losing a request: nothing is on it or queued for it, in old workers of the balancer too.")
}

func newMaintCommand(a *app) *cobra.Command {
	return newOrderCommand(a, remediate.Maint, "out of service: no sessions, no health checks",
		"Orders servers, or local health services, out of service.")
}

func newReadyCommand(a *app) *cobra.Command {
	return newOrderCommand(a, remediate.Ready, "back in service; ends drain and maint",
		"Ends every order on the servers, or local health services, and what automation did to them.")
}

// newOrderCommand is drain, maint and ready.
func newOrderCommand(a *app, want remediate.Verb, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   string(want) + " NAME…",
		Short: short,
		Long:  long + "\n\nA NAME is [BALANCER/]BACKEND/SERVER; a server of nginx is its address:port; one word is a local health service.",
		Args:  argsBetween(1, 1000, "names of servers"),
	}
	o := orders{app: a, want: want}
	socket := a.socketFlag(cmd)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for whoever reads it later")
	cmd.Flags().BoolVar(&o.force, "force", false, "below the capacity floor too, and over another operator's order")
	if want != remediate.Ready {
		cmd.Flags().DurationVar(&o.until, "for", 0, "end the order after this time; without it ready ends it")
		cmd.Flags().BoolVar(&o.wait, "wait", false, "return when the servers are drained")
		cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "with --wait: how long")
	}
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if err := o.check(cmd, names); err != nil {
			return err
		}
		o.client = a.adminClient(cmd, *socket)
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
		t, err := admin.ParseTarget(name)
		switch {
		case err != nil:
			return usageError("%s", err)
		case o.wait && t.Service != "":
			return usageError("%s is a local health service, and only its balancers know its sessions: wait at the balancer, or name it [BALANCER/]BACKEND/SERVER", name)
		case o.until > 0 && t.Service != "":
			return usageError("%s is a local health service, whose orders take no --for: end it with `lbmedic ready %s`", name, name)
		}
	}
	return nil
}

// run orders all, also when one is refused: the others were asked for too. The exit status tells that not all went well.
func (o *orders) run(ctx context.Context, names []string) error {
	results := make([]ordered, len(names))
	var failed error // the first
	for i, name := range names {
		results[i].Name = name
		done, err := o.client.Order(ctx, admin.Order{Target: name, Want: o.want, Reason: o.reason, For: admin.Duration(o.until), Force: o.force})
		if err != nil {
			failed = cmp.Or(failed, o.failed(&results[i], err, len(names) == 1))
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
	if o.json() {
		if err := o.printJSON(results); err != nil {
			return err
		}
	}
	return failed
}

func (o *orders) tell(d admin.Done) error {
	if d.Until.IsZero() {
		return o.say("%s: ordered by %s", d.Did, d.By)
	}
	return o.say("%s: ordered by %s until %s", d.Did, d.By, d.Until.Local().Format(time.DateTime))
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
