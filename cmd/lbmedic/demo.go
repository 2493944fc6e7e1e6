package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/demo"
)

func newDemoCommand(a *app) *cobra.Command {
	var s demo.Settings
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "a whole stack on loopback: a failure, a repair, a deploy, one timeline",
		Long: `Starts a real HAProxy (and nginx, if it is installed), three small apps with a sidecar each, and a controller, all on
loopback. Breaks and heals an app, deploys another under load, and prints what happens and what users met. Each step
counts only if HAProxy itself shows it. Everything that was started is stopped at the end, and nothing is left behind:
^C stops in order, a second ^C kills.
Exit status 0: all went as promised; 1: a step could not be done; 3: a promise was broken.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), s) },
	}
	cmd.Flags().BoolVar(&s.Once, "once", false, "end after the story instead of staying up")
	cmd.Flags().StringVar(&s.HAProxy, "haproxy", "", "another HAProxy than the installed one")
	cmd.Flags().StringVar(&s.Nginx, "nginx", "", "another nginx than the installed one")
	cmd.AddCommand(newDemoAppCommand())
	return cmd
}

// demo gives the demo and leaves nothing behind, also where ^C is pressed twice.
func (a *app) demo(parent context.Context, s demo.Settings) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program that runs: %w", err)
	}
	s.Program, s.Timeline, s.Colour = program, a.stdout, a.colour()
	switch {
	case a.json():
		s.Timeline, s.Colour = a.stderr, false
	case a.quiet:
		s.Timeline = io.Discard
	}
	stops := a.takeSignals(parent)
	defer stops.end()
	s.Hurry = stops.hurry
	ended := make(chan error, 1)
	kept := true
	go func() {
		ended <- demo.Run(stops.ctx, s, func(r *demo.Report) error {
			kept = r.Kept
			if a.json() {
				return a.printJSON(r)
			}
			return r.Print(a.stdout, a.colour())
		})
	}()
	select {
	case err = <-ended:
	case <-stops.late:
		return &exitError{code: stops.status(), err: fmt.Errorf("the clean-up was not over within %s; look for what is left with `pgrep -af /tmp/lbm`", hurryTime)}
	}
	switch {
	case stops.ctx.Err() != nil && err != nil:
		return exitWith(stops.status())
	case err == nil && !kept:
		return exitWith(exitFindings)
	}
	return err
}

// newDemoAppCommand is one of the apps of the demo.
func newDemoAppCommand() *cobra.Command {
	var app demo.App
	cmd := &cobra.Command{
		Use:    "app",
		Short:  "one of the apps of the demo",
		Hidden: true,
		Args:   argsBetween(0, 0, ""),
		RunE:   func(cmd *cobra.Command, _ []string) error { return app.Run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&app.Name, "name", "app1", "what it calls itself")
	flags.StringVar(&app.Release, "release", "v1", "which release it says it is")
	flags.StringVar(&app.Listen, "listen", "127.0.0.2:8080", "where it serves")
	flags.DurationVar(&app.Boot, "boot", 0, "how long it takes to start")
	flags.StringVar(&app.Dependency, "dependency", "127.0.0.2:6379", "what it needs for every answer")
	return cmd
}
