package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
)

// gcPercent keeps the daemon beside a HAProxy of 10,000 servers at about 41 MB instead of 58, for a fifth more CPU time
// than 4 % of a core; GOGC overrides it.
const gcPercent = 50

// newRunCommand is the daemon. SIGHUP reads the configuration again, SIGTERM stops as health.on_term says, SIGINT stops
// at once and leaves the last word that the balancers heard. Either, while a stop drains, ends the drain.
func newRunCommand(a *app) *cobra.Command {
	var level zapcore.Level
	cmd := &cobra.Command{
		Use:   "run",
		Short: "run the daemon: the sidecar of this host's services and the controllers of its balancers",
		Args:  argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			log := newLogger(a, level)
			if a.getenv("GOGC") == "" {
				debug.SetGCPercent(gcPercent)
			}
			if cfg.File == "" {
				log.Info("there is no configuration; this is the built-in one, on loopback and observing only", zap.String("looked for", a.configFile))
				for _, line := range daemon.Discover(cmd.Context(), cfg) {
					log.Info("found", zap.String("what", line))
				}
			}
			d, err := daemon.New(cfg, version, log)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), d, a, log)
		},
	}
	cmd.Flags().TextVar(&level, "log.level", zapcore.InfoLevel, "debug, info, warn or error")
	return cmd
}

// serve runs the daemon until a signal, and reads its configuration again at each SIGHUP.
func serve(ctx context.Context, d *daemon.Daemon, a *app, log *zap.Logger) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(running) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-hangup:
			reload(d, a, log)
		case <-ctx.Done():
			var by stoppedBy
			if errors.As(context.Cause(ctx), &by) && by.signal == syscall.SIGTERM {
				drain(running, d, ended, log)
			}
			stop()
			return <-ended
		}
	}
}

// drain ends early at a second signal, and where the daemon has failed meanwhile and nobody is told anything any more.
func drain(running context.Context, d *daemon.Daemon, ended chan error, log *zap.Logger) {
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(again)
	ctx, stop := context.WithCancel(running)
	defer stop()
	drained := make(chan struct{})
	go func() { defer close(drained); d.Drain(ctx) }()
	select {
	case <-drained:
	case s := <-again:
		log.Info("the drain is cut short", zap.Stringer("signal", s))
	case err := <-ended:
		ended <- err
	}
	stop()
	<-drained
}

// reload keeps the old configuration where the new one is wrong.
func reload(d *daemon.Daemon, a *app, log *zap.Logger) {
	cfg, err := config.Load(a.configFile)
	if err == nil {
		err = d.Reload(cfg)
	}
	if err != nil {
		log.Error("the configuration was not taken; the old one goes on", zap.String("file", a.configFile), zap.Error(err))
		return
	}
	log.Info("the configuration was read again", zap.String("file", a.configFile))
}

// newLogger writes one JSON line an event, or lines for people where stderr is a terminal.
func newLogger(a *app, level zapcore.Level) *zap.Logger {
	settings := zap.NewProductionEncoderConfig()
	settings.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	settings.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(settings)
	if isTerminal(a.stderr) {
		settings.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoder = zapcore.NewConsoleEncoder(settings)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(a.stderr)), level))
}
