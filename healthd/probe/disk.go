package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/durable"
)

const (
	snapshotFile = "health-snapshot.json"
	ordersFile   = "health-orders.json"
	maxFile      = 16 << 20
)

// orders are what people and deploys want of the services, with what is still owed to the balancers that heard so. They are kept when
// the service leaves the config, for it may come back. A value is never modified.
type orders struct {
	Services map[string]order `json:"services"`
}

type order struct {
	healthd.Admin
	Owed healthd.Ledger `json:"owed,omitempty"`
}

func (o orders) with(service string, a healthd.Admin) orders {
	return o.replace(service, order{Admin: a, Owed: o.Services[service].Owed})
}

func (o orders) replace(service string, to order) orders {
	services := maps.Clone(o.Services)
	if services == nil {
		services = map[string]order{}
	}
	services[service] = to
	return orders{services}
}

func loadOrders(dir string) (*shelf[orders], error) {
	o, err := newShelf[orders](dir, ordersFile)
	if err != nil {
		return o, fmt.Errorf("every service begins as ready, check what was drained: %w", err)
	}
	return o, nil
}

func saveSnapshot(dir string, s *healthd.Snapshot) error { return saveFile(dir, snapshotFile, s) }

func loadSnapshot(dir string) (*healthd.Snapshot, error) {
	var s *healthd.Snapshot
	if err := loadFile(dir, snapshotFile, &s); err != nil {
		return nil, fmt.Errorf("begin without the last snapshot: %w", err)
	}
	return s, nil
}

func saveFile(dir, name string, v any) error {
	if dir == "" {
		return nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return durable.WriteFile(filepath.Join(dir, name), append(data, '\n'), 0o600)
}

// loadFile reads what saveFile wrote; a missing file leaves v alone. One that cannot be understood is renamed to NAME.bad, so that it is
// there to look at and stands in nobody's way.
func loadFile(dir, name string, v any) error {
	if dir == "" {
		return nil
	}
	path := filepath.Join(dir, name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		err = fmt.Errorf("read %s: %w", path, err)
		if rerr := os.Rename(path, path+".bad"); rerr != nil {
			return errors.Join(err, rerr)
		}
		return fmt.Errorf("%w; set aside as %s.bad", err, name)
	}
	return nil
}
