package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
)

// gcPercent keeps the daemon beside a HAProxy of 10,000 servers at about 41 MB instead of 58, for a fifth more CPU time
// than 4 % of a core; GOGC overrides it.
const gcPercent = 50

// newRunCommand is the daemon. SIGHUP and a change of the file read the configuration again, SIGTERM stops as health.on_term says, SIGINT stops
// at once and leaves the last word that the balancers heard. Either, while a stop drains, ends the drain.
func newRunCommand(a *app) *cobra.Command {
	var level zapcore.Level
	cmd := &cobra.Command{
		Use:   "run",
		Short: "run the daemon: the sidecar of this host's services and the controllers of its balancers",
		Args:  argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := newLogger(a, level)
			own := daemon.NewOwnFile(a.configFile, log)
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
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
			return serve(cmd.Context(), d, own, func() (*config.Config, error) { return config.Load(a.configFile) }, log)
		},
	}
	cmd.Flags().TextVar(&level, "log.level", zapcore.InfoLevel, "debug, info, warn or error")
	return cmd
}

// serve runs the daemon until a signal, and reads its configuration again at each SIGHUP and after each change of its file.
func serve(ctx context.Context, d *daemon.Daemon, own *daemon.OwnFile, load func() (*config.Config, error), log *zap.Logger) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	changed := make(chan struct{}, 1)
	watched := make(chan error, 1)
	go func() {
		watched <- own.Run(running, func() {
			select {
			case changed <- struct{}{}:
			default: // it will be read anyway
			}
		})
	}()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(running) }()
	for {
		select {
		case err := <-ended:
			return err
		case err := <-watched:
			log.Error("the configuration is read again at a SIGHUP only", zap.Error(err))
		case <-hangup:
			own.Changed() // seen
			reload(d, load, log)
		case <-changed:
			reload(d, load, log)
		case <-ctx.Done():
			return end(ctx, running, stop, d, ended, log)
		}
	}
}

// end stops the daemon, as health.on_term says where SIGTERM asked for it, within the time that is left for it.
func end(ctx, running context.Context, stop func(), d *daemon.Daemon, ended chan error, log *zap.Logger) error {
	late := time.NewTimer(d.TermTimeout())
	defer late.Stop()
	var by stoppedBy
	if errors.As(context.Cause(ctx), &by) && by.signal == syscall.SIGTERM {
		drain(running, d, ended, log)
	}
	stop()
	select {
	case err := <-ended:
		return err
	case <-late.C:
		return errors.New("stop: something does not end in time and is left behind; what was begun is in the journal")
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
func reload(d *daemon.Daemon, load func() (*config.Config, error), log *zap.Logger) {
	if err := d.Reread(load); err != nil {
		log.Error("the configuration was not taken; the old one goes on", zap.Error(err))
		return
	}
	log.Info("the configuration was read again", zap.String("file", d.Reading().File))
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
