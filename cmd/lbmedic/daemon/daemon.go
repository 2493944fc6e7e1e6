// Package daemon wires the parts of lbmedic into one process: the sidecar of this host's services, the controllers of its
// balancers, the journal that both write, and the admin socket. A Daemon is a value with Run(ctx).
package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

// Daemon is one lbmedic process. New builds everything that can fail; Run only runs it.
type Daemon struct {
	log      *zap.Logger
	version  string
	book     *control.Book
	sidecars *control.Sidecars
	sidecar  *sidecar // nil: no service on this host
	admin    *admin.Server

	mu          sync.Mutex
	config      *config.Config // settled
	reading     admin.Reading
	announced   bool // that everything had its first look
	controllers *controllers
}

// New opens the state directory, the listeners and the journal, and builds every part. On an error nothing of it stays
// open. The state directory belongs to one process: a second one is refused with the number of the first.
func New(cfg *config.Config, version string, log *zap.Logger) (d *Daemon, err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
	}()
	d = &Daemon{log: log, version: version, config: cfg.Settled(), reading: admin.Reading{File: cfg.File, At: time.Now()}}
	d.book, err = openBook(cfg.State, log)
	if err != nil {
		return nil, err
	}
	undo = append(undo, d.book.Close)
	if cfg.Health != nil {
		d.sidecar, err = newSidecar(cfg.Health, filepath.Join(cfg.State, "health"), version, d.book.Saw, log)
		if err != nil {
			return nil, err
		}
		undo = append(undo, d.sidecar.close)
	}
	d.sidecars = control.NewSidecars(client.New(client.Settings{Token: cfg.SidecarToken}))
	d.sidecars.Saw = d.book.Saw
	undo = append(undo, func() error { d.sidecars.Close(); return nil })
	d.controllers = newControllers(cfg, d.book, d.sidecars, log)
	if d.admin, err = newAdmin(cfg, log); err != nil {
		return nil, err
	}
	d.admin.Version, d.admin.Controllers, d.admin.Book, d.admin.Reading = version, d.controllers.all, d.book, d.Reading
	if d.sidecar != nil {
		d.admin.Board, d.admin.Leases, d.admin.Views = d.sidecar.board, d.sidecar.keeper, d.sidecar.views
	}
	return d, d.admin.Listen(context.Background())
}

// openBook opens the journal and says what it could not read.
func openBook(dir string, log *zap.Logger) (*control.Book, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	j, recovered, err := journal.Open(dir, journal.Settings{})
	if err != nil {
		return nil, err
	}
	for _, damage := range recovered.Damage {
		log.Warn("a part of the journal was refused", zap.Stringer("damage", damage))
	}
	book, err := control.NewBook(j, recovered)
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return book, nil
}

// Run works until ctx is done, and returns the error of the part that ended first, if one did. Every part is waited for; health is served
// until the others have ended, so that its ports are without an answer for no longer than the next process takes to start.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var once sync.Once
	var failed error
	run := func(ctx context.Context, group *sync.WaitGroup, name string, f func(context.Context) error) {
		group.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				once.Do(func() { failed = fmt.Errorf("%s: %w", name, err) })
				cancel(failed)
			}
		})
	}
	var parts, last sync.WaitGroup
	if d.sidecar != nil {
		run(serving, &last, "health", d.sidecar.run)
	}
	run(serving, &last, "pulse", d.runPulse)
	run(ctx, &parts, "admin socket", d.admin.Run)
	run(ctx, &parts, "controllers", func(ctx context.Context) error { return d.currentControllers().run(ctx) })
	run(ctx, &parts, "readiness", d.announce)
	<-ctx.Done()
	notify(d.log, systemd.SdNotifyStopping)
	parts.Wait()
	d.sidecars.Close()
	d.sayWhatStays()
	if err := d.book.Close(); err != nil {
		d.log.Error("close the journal", zap.Error(err))
	}
	stop()
	last.Wait()
	return failed
}

// sayWhatStays is the last word of a daemon that stops: what it leaves behind it in the balancers.
func (d *Daemon) sayWhatStays() {
	ledger := d.book.Ledger()
	var out, ordered []string
	for _, t := range ledger.Targets() {
		if _, taken := ledger.Takes[t]; taken {
			out = append(out, t.String())
		}
		if _, stands := ledger.Orders[t]; stands {
			ordered = append(ordered, t.String())
		}
	}
	if len(out) > 0 {
		d.log.Warn("stopped; what automation has out stays out until lbmedic runs again, or `lbmedic release --all`", zap.Strings("out", out))
	}
	if len(ordered) > 0 {
		d.log.Info("stopped; orders stand, but nobody applies them again after a reload", zap.Strings("ordered", ordered))
	}
}

func (d *Daemon) currentControllers() *controllers {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.controllers
}

// announce tells systemd once everything has had its first look, a balancer that cannot be read too.
func (d *Daemon) announce(ctx context.Context) error {
	if d.sidecar != nil {
		if err := d.sidecar.settled(ctx); err != nil {
			return nil
		}
	}
	for _, c := range d.currentControllers().all {
		select {
		case <-c.Looked():
		case <-ctx.Done():
			return nil
		}
	}
	debug.FreeOSMemory() // what the reading of the configuration and the first round took
	d.mu.Lock()
	d.announced = true
	d.mu.Unlock()
	d.log.Info("ready", zap.String("version", d.version))
	notify(d.log, systemd.SdNotifyReady)
	<-ctx.Done()
	return nil
}
