package probe

import (
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Leave has every service that is ready follow an order in memory alone: for a stop that cannot be kept on disk and is to be heard of all the same.
// Over HTTP and gRPC it is told as any other; a balancer that asks by agent-check hears no word that we could not take back after the next start.
func (b *Board) Leave(a healthd.Admin) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if a.Since.IsZero() {
		a.Since = now
	}
	s := b.Latest()
	for _, svc := range s.Services {
		if svc.Admin.State == healthd.Ready {
			s, _ = s.Order(svc.Name, a, now)
		}
	}
	b.publish(s)
}
