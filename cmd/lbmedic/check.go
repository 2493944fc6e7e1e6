package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/check"
	"github.com/lbmedic/lbmedic/healthd/probe"
)

// exitUnknown is what `lbmedic check` ends with where nothing can be said, mistakes in its use included: Nagios and Consul
// would take 1 for a warning.
const exitUnknown = 3

func newCheckCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [SERVICE]",
		Short: "run the checks of this host's services once",
		Long: "Runs the checks of the configuration once, all at the same time, without the daemon.\n" +
			"The first line says all of it, the worst first; -q prints no more. Exit status 0: pass; 1: warn; 2: fail; 3: unknown, or\n" +
			"an error of lbmedic's own, as Nagios and Consul read it.",
		Example: "  lbmedic check -q                       # for Nagios or Consul\n" +
			"  HEALTHCHECK CMD lbmedic check -q --exit=docker",
	}
	style := cmd.Flags().String("exit", "nagios", "nagios, or docker for 0 healthy and 1 not")
	fail := func(err error) error {
		if *style == "docker" {
			return &exitError{code: 1, err: err}
		}
		return &exitError{code: exitUnknown, err: err}
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return fail(flagError(cmd, err)) })
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := argsBetween(0, 1, "one SERVICE")(cmd, args); err != nil {
			return fail(err)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *style != "nagios" && *style != "docker" {
			return fail(usageError("--exit is nagios or docker, not %q", *style))
		}
		files, services, err := a.servicesToCheck(args)
		if err != nil {
			return fail(err)
		}
		checked, err := checkOnce(check.PermitExec(cmd.Context(), files...), services)
		if err != nil {
			return fail(err)
		}
		if err := a.tellChecked(checked); err != nil {
			return fail(err)
		}
		return exitWith(exitOf(checked, *style))
	}
	return cmd
}

// servicesToCheck are all services of the configuration, or the one that is named, and the files that they were read from.
func (a *app) servicesToCheck(args []string) (files []string, _ []config.Service, _ error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	if cfg.Health == nil || len(cfg.Health.Services) == 0 {
		return nil, nil, fmt.Errorf("there is nothing to check: %s has no health.services", a.configFile)
	}
	if len(args) == 0 {
		return cfg.Health.Files, cfg.Health.Services, nil
	}
	var names []string
	for _, s := range cfg.Health.Services {
		if s.Name == args[0] {
			return cfg.Health.Files, []config.Service{s}, nil
		}
		names = append(names, s.Name)
	}
	if near := config.Nearest(args[0], names); near != "" {
		return nil, nil, fmt.Errorf("there is no service %q; did you mean %s?", args[0], near)
	}
	return nil, nil, fmt.Errorf("there is no service %q; there %s", args[0], theyAre(names))
}

// checkOnce makes one probe of every check. One answer decides: rise and fall are for those who ask again and again.
func checkOnce(ctx context.Context, services []config.Service) ([]healthd.Service, error) {
	out := make([]healthd.Service, len(services))
	var errs []error
	var probes sync.WaitGroup
	for i, s := range services {
		out[i] = healthd.Service{Name: s.Name, Address: s.Address, Checks: make([]healthd.Check, len(s.Checks))}
		for j, c := range s.Checks {
			built, err := daemon.Check(c)
			if err != nil {
				errs = append(errs, fmt.Errorf("health.services.%s.checks.%s: %w", s.Name, c.Name, err))
				continue
			}
			built.Need = s.Groups[c.Group]
			probes.Go(func() { out[i].Checks[j] = probeOnce(ctx, built) })
		}
	}
	probes.Wait()
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Status, out[i].Since = healthd.Rollup(out[i].Checks), time.Now()
	}
	return out, nil
}

func probeOnce(ctx context.Context, c probe.Check) healthd.Check {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	slow := c.Rule.Latency
	slow.Of = healthd.Each // there is but one
	o := slow.Judge(c.Probe(ctx), healthd.Latency{})
	v := healthd.Verdict{}.Step(o, healthd.Rule{Rise: 1, Fall: 1})
	return healthd.Check{Name: c.Name, Kind: c.Kind, Measurement: c.Measurement, Target: c.Target, Impact: c.Impact, Shared: c.Shared,
		Group: c.Group, Need: c.Need, Verdict: v, Suspect: c.Shared && v.Status == healthd.Fail} // no sibling was asked
}

func statusCell(s healthd.Status) cell {
	colours := map[healthd.Status]colour{healthd.Pass: green, healthd.Warn: yellow, healthd.Fail: red, healthd.Unknown: yellow}
	return cell{s.String(), colours[s]}
}

func statusOf(services []healthd.Service) healthd.Status {
	worst := healthd.Pass
	for _, s := range services {
		worst = healthd.Worse(worst, s.Status)
	}
	return worst
}

func exitOf(services []healthd.Service, style string) int {
	codes := map[healthd.Status]int{healthd.Pass: 0, healthd.Warn: 1, healthd.Fail: 2, healthd.Unknown: exitUnknown}
	if style == "docker" {
		codes = map[healthd.Status]int{healthd.Pass: 0, healthd.Warn: 0, healthd.Fail: 1, healthd.Unknown: 1}
	}
	return codes[statusOf(services)]
}
