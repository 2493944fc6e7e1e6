package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

// directTime is how long all balancers together have to answer.
const directTime = 15 * time.Second

// lookDirectly reads the balancers and the journal without a daemon and without changing anything.
func lookDirectly(parent context.Context, cfg *config.Config) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(parent, directTime)
	defer cancel()
	out := admin.Status{Version: version, Balancers: make([]control.Status, len(cfg.Balancers))}
	ledger, err := readLedger(cfg.State)
	if err != nil {
		out.NoJournal = err.Error()
	}
	out.Frozen = ledger.Frozen
	var looks sync.WaitGroup
	for i, b := range cfg.Balancers {
		looks.Go(func() { out.Balancers[i] = lookAt(ctx, b, ledger) })
	}
	looks.Wait()
	return out, parent.Err()
}

// readLedger is what the journal adds up to. A journal that does not exist adds up to nothing.
func readLedger(dir string) (*remediate.Ledger, error) {
	ledger := remediate.NewLedger()
	recovered, err := journal.Inspect(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ledger, nil
	case err != nil:
		return ledger, err
	}
	ledger, err = control.AddUp(recovered)
	if err != nil {
		return remediate.NewLedger(), err
	}
	var lost []string
	for _, damage := range recovered.Damage {
		if !damage.Torn {
			lost = append(lost, damage.String())
		}
	}
	if len(lost) > 0 {
		return ledger, fmt.Errorf("a part of the journal is unreadable, so what is shown of orders and takes may not be all: %s", strings.Join(lost, "; "))
	}
	return ledger, nil
}

func lookAt(ctx context.Context, b config.Balancer, ledger *remediate.Ledger) control.Status {
	out := control.Status{Balancer: b.Name, Mode: remediate.Mode(b.Policy.Mode), Frozen: ledger.Frozen.String(), Servers: []control.ServerStatus{}}
	seen, err := daemon.NewBalancer(b).Observe(ctx)
	if err != nil {
		out.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
		return out
	}
	out.Version, out.Generation, out.Read = seen.Version, seen.Generation, seen.At
	for _, backend := range seen.Backends {
		for _, s := range backend.Servers {
			ledger.Annotate(remediate.Target{Balancer: b.Name, Backend: backend.Name, Server: s.Name}, &s)
			out.Servers = append(out.Servers, control.Row(backend.Name, s))
		}
	}
	return out
}
