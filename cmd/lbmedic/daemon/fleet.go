package daemon

import (
	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/remediate/admin"
)

// fleet is what the admin API has of other hosts: the controllers that it asks whether a service is drained, and who may ask it.
type fleet struct {
	witnesses *admin.Witnesses // nil: none
	remote    *admin.Remote    // nil: not over TCP
}

// fleetOf reads the certificates and opens nothing.
func fleetOf(cfg *config.Config, log *zap.Logger) (f fleet, err error) {
	if h := cfg.Health; h != nil && h.Controllers != nil {
		f.witnesses, err = admin.NewWitnesses(admin.WitnessSettings{Controllers: h.Controllers.URLs, CA: h.Controllers.CA, Cert: h.Controllers.Cert, Key: h.Controllers.Key, Log: log})
		if err != nil {
			return f, err
		}
	}
	if r := cfg.Admin.Remote; r != nil {
		f.remote = &admin.Remote{Listen: r.Listen.String(), Cert: r.Cert, Key: r.Key, ClientCA: r.ClientCA}
		f.remote.Allow, err = admin.Allowing(r.Allow)
	}
	return f, err
}

// equip gives the admin API of a daemon that is being built what it has of the sidecar and of the fleet.
func (d *Daemon) equip(cfg *config.Config) error {
	if d.sidecar != nil {
		d.admin.Board, d.admin.Leases, d.admin.Views = d.sidecar.board, d.sidecar.keeper, d.sidecar.views
		d.admin.DrainWait = cfg.Health.DrainWait
	}
	f, err := fleetOf(cfg, d.log)
	d.admin.Witnesses, d.admin.Remote = f.witnesses, f.remote
	return err
}

// regroup has the admin API know the fleet of a new configuration.
func (d *Daemon) regroup(cfg *config.Config, f fleet) {
	var allow map[string]admin.Role
	if f.remote != nil {
		allow = f.remote.Allow
	}
	if cfg.Health != nil {
		d.admin.ReplaceFleet(f.witnesses, cfg.Health.DrainWait, allow)
		return
	}
	d.admin.ReplaceFleet(f.witnesses, 0, allow)
}
