package remediate

import "fmt"

// Worker is one older process of the balancer that may still use a server.
type Worker struct {
	PID        int    `json:"pid"`
	Clients    int    `json:"clients"`              // client connections it holds (CurrConns)
	Elsewhere  int    `json:"elsewhere"`            // of those, the ones that `show sess` places on other servers
	Unreadable string `json:"unreadable,omitempty"` // why it could not be asked
}

// Use is what still uses a server, read in one look.
type Use struct {
	InService bool     `json:"in_service"` // the live worker gives it new sessions
	Sessions  int      `json:"sessions"`   // scur in the live worker
	Queued    int      `json:"queued"`     // qcur in the live worker
	Older     []Worker `json:"older,omitempty"`
	Blind     string   `json:"blind,omitempty"`  // why older processes cannot be seen at all
	Bounds    string   `json:"bounds,omitempty"` // what ends the wait at the latest, from the config
}

// DrainState says how far a drain is.
type DrainState string

// The states of a drain.
const (
	Draining     DrainState = "draining"
	Drained      DrainState = "drained"
	DrainUnknown DrainState = "unknown" // older workers cannot be seen: never taken for drained
)

// Drained says whether a server can be stopped without losing a request: in the live worker nothing is on it or waits
// for it, and every older worker has ended or holds clients only on other servers. An older worker goes on balancing
// new requests of the connections it holds, by the old weights, so a client without a session counts.
func (u Use) Drained() (DrainState, string) {
	switch {
	case u.InService:
		return Draining, "it is in service"
	case u.Sessions > 0 || u.Queued > 0:
		return Draining, fmt.Sprintf("%d sessions, %d queued", u.Sessions, u.Queued)
	case u.Blind != "":
		return DrainUnknown, u.Blind
	}
	for _, w := range u.Older {
		if w.Unreadable != "" {
			return DrainUnknown, fmt.Sprintf("old worker %d: %s", w.PID, w.Unreadable)
		}
		if w.Clients > w.Elsewhere {
			return Draining, fmt.Sprintf("old worker %d still has client connections that may use it: %d", w.PID, w.Clients-w.Elsewhere)
		}
	}
	return Drained, ""
}
