package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

// adminClient asks the daemon on --socket, on LBMEDIC_SOCKET, or where the configuration says that it listens. A
// configuration with mistakes must not keep anybody from the daemon that runs.
func (a *app) adminClient(cmd *cobra.Command, socket string) *admin.Client {
	if !cmd.Flags().Changed("socket") && a.getenv("LBMEDIC_SOCKET") == "" {
		if cfg, err := a.loadConfig(); err == nil {
			socket = cfg.Admin.Socket
		}
	}
	return admin.NewClient(socket)
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
	return a.loadConfig()
}
