package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

// adminClient asks the daemon on --socket, on LBMEDIC_SOCKET, or where the configuration says that it listens. Where the
// configuration cannot be read, no other daemon is asked in its place; --socket still finds the one that runs.
func (a *app) adminClient(cmd *cobra.Command, socket string) (*admin.Client, error) {
	if cmd.Flags().Changed("socket") || a.getenv("LBMEDIC_SOCKET") != "" {
		return admin.NewClient(socket), nil
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, usageError("where the daemon listens is not known: %w; --socket names the daemon directly", a.inOneLine(err))
	}
	return admin.NewClient(cfg.Admin.Socket), nil
}

// inOneLine is why the configuration could not be read. Of mistakes it gives the first: whoever asks the daemon
// something did not come to mend a file.
func (a *app) inOneLine(err error) error {
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		return err
	}
	return fmt.Errorf("%s has %s (`lbmedic config check %s` lists them), first %s", a.configFile, count(len(mistakes), "mistake"), a.configFile, mistakes[0].Error())
}

// daemonError is what the daemon, or the way to it, answered: a wrong request is the caller's, all else the daemon's.
func daemonError(err error) error {
	var p *admin.Problem
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &p) && p.Local():
		return usageError("%s", p)
	}
	return peerError(err)
}

// withoutDaemon is the configuration for what works without a daemon.
func (a *app) withoutDaemon(daemon error) (*config.Config, error) {
	if !errors.Is(daemon, admin.ErrNoDaemon) {
		return nil, daemonError(daemon)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, peerError(fmt.Errorf("%w; without it the configuration is needed: %w", daemon, a.inOneLine(err)))
	}
	return cfg, nil
}
