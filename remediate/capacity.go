package remediate

import "fmt"

// Capacity counts the servers of one backend for invariant S1. Active servers and backups are counted apart; rows
// that share an address are one server.
type Capacity struct {
	Configured int // servers of that kind in the config
	Serving    int // servers that take new sessions now, less those that an unresolved command may take out
	Ejected    int // servers that automation has out
	Floor      int // servers that must go on serving
	MaxEjected int // servers that automation may have out
}

// floor is the number of servers out of n that must go on serving.
func (p Policy) floor(n int) int {
	least := p.MinServers
	if least <= 0 {
		least = 1
		if n >= 3 {
			least = 2
		}
	}
	return max(least, (n*p.MinPercent+99)/100)
}

// Deficit is how many servers are missing below the floor.
func (c Capacity) Deficit() int { return max(0, c.Floor-c.Serving) }

func (c Capacity) String() string {
	return fmt.Sprintf("%d of %d serving, floor %d, %d out by automation of at most %d",
		c.Serving, c.Configured, c.Floor, c.Ejected, c.MaxEjected)
}

// Threshold is a number in the config that the count of usable servers is compared with, such as `nbsrv(web) lt 2`.
type Threshold struct {
	Op        string // "eq", "ge", "gt", "le" or "lt"; empty where it could not be read
	Low, High int    // eq may name a range; otherwise both are the same
	Place     string // file:line, for people
}

// crossed reports whether the comparison changes its answer when before servers become after. One that could not be
// read always does.
func (t Threshold) crossed(before, after int) bool {
	return t.Op == "" || t.holds(before) != t.holds(after)
}

func (t Threshold) holds(n int) bool {
	switch t.Op {
	case "ge":
		return n >= t.Low
	case "gt":
		return n > t.Low
	case "le":
		return n <= t.Low
	case "lt":
		return n < t.Low
	}
	return t.Low <= n && n <= t.High
}

func (t Threshold) because(backend string) string {
	if t.Op == "" {
		return fmt.Sprintf("%s counts the servers of %s in a way that cannot be judged", t.Place, backend)
	}
	return fmt.Sprintf("nbsrv(%s) %s %d at %s would change its answer", backend, t.Op, t.Low, t.Place)
}
