package remediate

import "time"

// Generation is one worker process of a balancer. What is known of one says nothing about the next.
type Generation struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started,omitzero"` // to the second; zero where the worker does not say (HAProxy 2.2)
}

// Same reports whether g and o are one process. The start decides where both know it.
func (g Generation) Same(o Generation) bool {
	return g.PID == o.PID && (g.Started.IsZero() || o.Started.IsZero() || g.Started.Equal(o.Started))
}

// Backend is one backend (HAProxy) or upstream (nginx) as its live worker reported it in one batch.
type Backend struct {
	Name       string
	Servers    []Server
	MapHash    bool        // a map-based hash: taking one server moves keys of the others
	Thresholds []Threshold // places in the config that count usable servers
	OrdersOnly string      // why automation never acts here; empty where it may
}

// units groups the rows that share an address: they are one instance and count as one server.
func (b Backend) units() [][]Server {
	var units [][]Server
	index := make(map[string]int, len(b.Servers))
	for _, s := range b.Servers {
		key := s.Address
		if key == "" {
			key = "\x00" + s.Name
		}
		if s.Backup {
			key = "backup\x00" + key
		}
		i, ok := index[key]
		if !ok {
			i = len(units)
			index[key] = i
			units = append(units, nil)
		}
		units[i] = append(units[i], s)
	}
	return units
}

// Fleet is what one decision has to know of all the others of this controller.
type Fleet struct {
	Targets int // servers that have a sidecar
	Failing int // of those, the ones whose sidecar says fail, or that stopped answering
	Takes   int // takes of automation within Policy.Window, in all backends
}

// View is everything that the decision about one backend depends on.
type View struct {
	Now        time.Time
	Balancer   string
	Frozen     string // who froze automation and why; empty when it is not frozen
	NoJournal  string // why nothing can be journaled; empty when it can
	Denied     string // why the balancer takes no commands from us; empty when it does
	Policy     Policy
	Backend    Backend
	Followers  []Backend  // backends with servers that track one of Backend's
	Observed   time.Time  // when the live worker reported
	Generation Generation // of that worker
	Fleet      Fleet
}

// target names one of the view's servers.
func (v View) target(server string) Target {
	return Target{Balancer: v.Balancer, Backend: v.Backend.Name, Server: server}
}
