package daemon

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

// Reread has load read the configuration and takes it. Where it cannot be read or taken the old one goes on; the error is then what is wrong,
// and stays to be seen in Reading and in systemd's status until a reading succeeds.
func (d *Daemon) Reread(load func() (*config.Config, error)) error {
	d.mu.Lock()
	announced := d.announced
	d.mu.Unlock()
	if announced { // before that the end of a reload would say that the first round is over
		notify(d.log, systemd.SdNotifyReloading, systemd.SdNotifyMonotonicUsec())
		defer notify(d.log, systemd.SdNotifyReady)
	}
	cfg, err := load()
	if err == nil {
		err = d.Reload(cfg)
	}
	debug.FreeOSMemory() // what the configurations before and after took
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading.Wrong = ""
	if err != nil {
		d.reading.Wrong = oneLine(err.Error())
	}
	return err
}

// Reading is what became of the last look at the configuration.
func (d *Daemon) Reading() admin.Reading {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reading
}

// Reload takes a new configuration: everything that can fail is done first, then it is swapped in. On an error the old one goes on. Checks
// that are the same keep their history, and servers that are the same keep their callers; only the admin socket, the state directory and
// whether there is a sidecar at all change with a restart alone.
func (d *Daemon) Reload(cfg *config.Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := needsRestart(d.config, cfg); err != nil {
		return err
	}
	fleet, err := fleetOf(cfg, d.log)
	if err != nil {
		return err
	}
	var health replacement
	if d.sidecar != nil {
		if health, err = d.sidecar.prepare(cfg.Health); err != nil {
			return err
		}
	}
	next := newControllers(cfg, d.book, d.sidecars, d.log)
	next.inherit(d.controllers)
	d.controllers.swap(next)
	d.controllers = next
	d.config = cfg.Settled()
	d.reading = admin.Reading{File: cfg.File, At: time.Now()}
	d.admin.Replace(next.all)
	d.regroup(cfg, fleet)
	if d.sidecar != nil {
		return d.sidecar.replace(health)
	}
	return nil
}

func needsRestart(old, next *config.Config) error {
	switch {
	case old.State != next.State:
		return fmt.Errorf("state: %s cannot become %s without a restart", old.State, next.State)
	case old.Admin.Socket != next.Admin.Socket || old.Admin.HTTP != next.Admin.HTTP:
		return errors.New("admin: its addresses cannot change without a restart")
	case !reflect.DeepEqual(old.Admin.Remote, next.Admin.Remote):
		return errors.New("admin.remote: it cannot change without a restart")
	case !samePort(old.Admin.Remote, next.Admin.Remote):
		return errors.New("admin.remote: it cannot come, go or listen elsewhere without a restart, and its files keep their names")
	case old.SidecarToken != next.SidecarToken:
		return errors.New("sidecar_token: it cannot change without a restart")
	case (old.Health == nil) != (next.Health == nil):
		return errors.New("health: it cannot come or go without a restart")
	case old.Health != nil && (old.Health.DrainWait != next.Health.DrainWait || !reflect.DeepEqual(old.Health.Controllers, next.Health.Controllers)):
		return errors.New("health.controllers, health.drain_wait: they cannot change without a restart")
	}
	return nil
}

// samePort reports whether the API over TCP stays where it is, with the files that it has; they are read again when they change.
func samePort(old, next *config.Remote) bool {
	if old == nil || next == nil {
		return old == next
	}
	return old.Listen == next.Listen && old.Cert == next.Cert && old.Key == next.Key && old.ClientCA == next.ClientCA
}
