package serve

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// View is what one balancer last said about one of its servers: the header X-Haproxy-Server-State that HAProxy sends with its
// health checks where `http-check send-state` is set. It proves that the balancer is there, the server's weight and its sessions in the
// worker that asked. It proves no drain, for a drained server reads "UP … weight=10/10" (HAProxy 2.2 to 3.2), and nothing about old
// workers, which do not check.
type View struct {
	Balancer netip.Addr `json:"balancer"`
	Name     string     `json:"name"`              // BACKEND/SERVER, as the balancer calls it
	Service  string     `json:"service,omitempty"` // whose health it asked for; empty: the whole instance's
	Node     string     `json:"node,omitempty"`    // the balancer's name for itself, by default its host name
	State    string     `json:"state"`             // UP, DOWN, NOLB (disable-on-404), no check
	Address  string     `json:"address,omitempty"` // of the server as the balancer knows it, host:port
	Weight   int        `json:"weight"`            // the effective one, in slowstart too
	Total    int        `json:"total"`             // of the weights in the backend
	Sessions int        `json:"scur"`              // on the server, through the worker that asked
	All      int        `json:"scur_total"`        // in the backend
	Queued   int        `json:"qcur"`              // for the server
	Throttle int        `json:"throttle,omitempty"`

	At       time.Time     `json:"at"`                 // when it last asked
	Interval time.Duration `json:"interval,omitempty"` // between two of its checks, as seen, in nanoseconds; 0: it asked once
	Initial  int           `json:"initial,omitempty"`  // its initial weight is at least this much; 0: not known
	Coarse   bool          `json:"coarse,omitempty"`   // a percentage that we gave became weight 0, so none is given any more

	gap   time.Duration // the last one
	zeros int           // how many checks in a row showed weight 0 while nothing less than all of it was told
}

// Presence says whether a balancer still asks.
type Presence string

// The presences. Checks stop in maintenance, and when the balancer cannot reach us any more: only it knows which.
const (
	Present      Presence = "present"
	MaintOrBlind Presence = "maint-or-blind"
)

// silences is after how many of its own intervals a balancer counts as silent; firstSilence is the time for one that asked once.
const (
	silences     = 3
	firstSilence = 30 * time.Second
)

// Presence is Present until the balancer has been silent for more than three of its own intervals.
func (v View) Presence(now time.Time) Presence {
	limit := silences * v.Interval
	if v.Interval == 0 {
		limit = firstSilence
	}
	if now.Sub(v.At) > limit {
		return MaintOrBlind
	}
	return Present
}

// leastSteps is the initial weight from which on a percentage is a step: HAProxy rounds down, so that `50%` of the initial weight 1 is 0, which
// takes the server out of service (2.2 to 3.2).
const leastSteps = 10

// Steps reports whether a percentage of the weight can be given to the balancer without taking the server out by rounding.
func (v View) Steps() bool { return v.Initial >= leastSteps && !v.Coarse }

// Next gives the view after one more check, while the balancer has been told percent of its weight (100: all of it, or nothing was said).
func (v View) Next(seen View, percent int) View {
	seen.Interval, seen.gap, seen.Initial, seen.Coarse = v.Interval, v.gap, v.Initial, v.Coarse
	if gap := seen.At.Sub(v.At); !v.At.IsZero() && gap > 0 && v.Presence(seen.At) == Present {
		// HAProxy checks faster while a server changes its state (fastinter): one short gap is no shorter interval.
		seen.Interval, seen.gap = max(gap, v.gap), gap
	}
	switch {
	case percent >= 100:
		seen.Initial = seen.Weight                         // or what an operator made of it, which counts as long as it stands
		seen.Coarse = v.Coarse && seen.Weight < leastSteps // its whole weight allows steps: what made it 0 was not our rounding
		if seen.Weight == 0 {
			seen.zeros = v.zeros + 1
		}
	case percent > 0 && seen.Weight == 0 && v.Weight == 0 && v.Initial > 0:
		seen.Coarse = true // twice: the first may have been under way
	default:
		seen.Initial = max(v.Initial, seen.Weight)
	}
	return seen
}

// Bounds of the header.
const (
	maxState = 1 << 10
	maxNode  = 255
	maxCount = 1<<31 - 1
)

// parseView reads the value of X-Haproxy-Server-State, as HAProxy 2.2 to 3.2 write it:
//
//	UP 2/3; address=10.0.0.5; port=8080; name=web/app1; node=lb1; weight=1/2; scur=13/22; qcur=0; throttle=20%
//
// The state comes first; keys that are not ours are passed over; name and weight must be there, each key once at most.
func parseView(text string) (v View, err error) {
	if len(text) > maxState {
		return View{}, fmt.Errorf("it is longer than %d bytes", maxState)
	}
	state, rest, _ := strings.Cut(text, ";")
	if v.State, err = parseState(state); err != nil {
		return View{}, err
	}
	var address, port string
	seen := map[string]bool{}
	for field := range strings.SplitSeq(rest, ";") {
		key, value, ok := strings.Cut(strings.TrimSpace(field), "=")
		if !ok || seen[key] {
			return View{}, fmt.Errorf("%q is no KEY=VALUE of its own", healthd.Line(field, 40))
		}
		seen[key] = true
		switch key {
		case "address":
			address = value
		case "port":
			port = value
		case "name":
			v.Name, err = parseRow(value)
		case "node":
			v.Node = healthd.Line(value, maxNode)
		case "weight":
			v.Weight, v.Total, err = parsePair(value)
		case "scur":
			v.Sessions, v.All, err = parsePair(value)
		case "qcur":
			v.Queued, err = parseCount(value)
		case "throttle":
			v.Throttle, err = parseCount(strings.TrimSuffix(value, "%"))
		}
		if err != nil {
			return View{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	if !seen["name"] || !seen["weight"] {
		return View{}, fmt.Errorf("it has no name or no weight")
	}
	if ip, err := netip.ParseAddr(address); err == nil { // "unix" is none
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
			v.Address = netip.AddrPortFrom(ip.WithZone("").Unmap(), uint16(n)).String()
		}
	}
	return v, nil
}

// parseState takes the word without its count: "UP 2/3" is UP.
func parseState(text string) (string, error) {
	for _, word := range [...]string{"UP", "DOWN", "NOLB", "no check"} {
		rest, ok := strings.CutPrefix(text, word)
		if !ok {
			continue
		}
		if rest == "" {
			return word, nil
		}
		if count, ok := strings.CutPrefix(rest, " "); ok {
			if _, _, err := parsePair(count); err == nil {
				return word, nil
			}
		}
	}
	return "", fmt.Errorf("the state %q is none of UP, DOWN, NOLB, no check", healthd.Line(text, 40))
}

// parseRow holds BACKEND/SERVER to what HAProxy allows in names.
func parseRow(text string) (string, error) {
	backend, server, ok := strings.Cut(text, "/")
	if !ok || !named(backend) || !named(server) {
		return "", fmt.Errorf("%q is no BACKEND/SERVER", healthd.Line(text, 80))
	}
	return text, nil
}

func named(s string) bool {
	return len(s) > 0 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return notLetterOrDigit(r) && !strings.ContainsRune("_.:-", r)
	})
}

func notLetterOrDigit(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}

func parsePair(text string) (a, b int, err error) {
	first, second, ok := strings.Cut(text, "/")
	if !ok {
		return 0, 0, fmt.Errorf("%q is no N/N", healthd.Line(text, 40))
	}
	if a, err = parseCount(first); err != nil {
		return 0, 0, err
	}
	b, err = parseCount(second)
	return a, b, err
}

func parseCount(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || text[0] == '+' || n > maxCount {
		return 0, fmt.Errorf("%q is no number", healthd.Line(text, 40))
	}
	return int(n), nil
}
