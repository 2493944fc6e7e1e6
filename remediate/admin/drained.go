package admin

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate"
)

// Witness is what GET /v1/drained?address=HOST:PORT answers: whether the server that listens there (or at one of several addresses, for a host
// may have many) could be stopped without losing a request, as far as the balancers of this lbmedic know.
type Witness struct {
	State   WitnessState    `json:"state"`
	Detail  string          `json:"detail,omitempty"` // why it is unknown, beside what Servers say
	Servers []WitnessServer `json:"servers"`          // every row with the address
}

// WitnessServer is one row.
type WitnessServer struct {
	Target remediate.Target     `json:"target"`
	State  remediate.DrainState `json:"state"`
	Detail string               `json:"detail,omitempty"`
}

// WitnessState is what all rows come to.
type WitnessState string

// The states: that of the rows which is furthest from drained, or Absent where every balancer could be read and none has the address.
const (
	WitnessDrained  = WitnessState(remediate.Drained)
	WitnessDraining = WitnessState(remediate.Draining)
	WitnessUnknown  = WitnessState(remediate.DrainUnknown)
	WitnessAbsent   = WitnessState("absent")
)

// maxAddresses bounds the addresses of one question.
const maxAddresses = 32

func (s *Server) drained(r *http.Request) (any, error) {
	asked, err := addressesIn(r)
	if err != nil {
		return nil, err
	}
	controllers := s.controllers()
	out := Witness{State: WitnessAbsent, Servers: []WitnessServer{}}
	if len(controllers) == 0 {
		out.State, out.Detail = WitnessUnknown, "this lbmedic has no balancers to ask"
	}
	for _, name := range slices.Sorted(maps.Keys(controllers)) {
		c := controllers[name]
		status := c.Status()
		if status.Error != "" || status.Read.IsZero() {
			out.State = WitnessUnknown
			out.Detail = fmt.Sprintf("balancer %s cannot be read: %s", name, cmp.Or(healthd.Line(status.Error, healthd.MaxDetail), "not yet"))
		}
		for _, row := range status.Servers {
			is, maybe := asked.has(row.Address)
			if !is && !maybe {
				continue
			}
			w := WitnessServer{Target: remediate.Target{Balancer: name, Backend: row.Backend, Server: row.Server}}
			if maybe {
				w.State, w.Detail = remediate.DrainUnknown, row.Address+" may be it: the balancer knows it by a name only"
			} else {
				p := c.Drained(r.Context(), row.Backend, row.Server)
				w.State, w.Detail = p.State, p.Detail
			}
			out.Servers = append(out.Servers, w)
		}
	}
	for _, w := range out.Servers {
		out.State = furthest(out.State, WitnessState(w.State))
	}
	return out, nil
}

var distance = map[WitnessState]int{WitnessAbsent: 0, WitnessDrained: 1, WitnessUnknown: 2, WitnessDraining: 3}

// furthest is the one of two states that is further from drained; what is not known as a state is unknown.
func furthest(a, b WitnessState) WitnessState {
	if _, ok := distance[b]; !ok {
		b = WitnessUnknown
	}
	if distance[b] > distance[a] {
		return b
	}
	return a
}

// addresses are those of one server.
type addresses []netip.AddrPort

func addressesIn(r *http.Request) (all addresses, err error) {
	values := r.URL.Query()["address"]
	if len(values) == 0 || len(values) > maxAddresses {
		return nil, problemf(http.StatusBadRequest, BadRequest, "drained takes from 1 to %d times address=IP:PORT", maxAddresses)
	}
	for _, text := range values {
		a, err := netip.ParseAddrPort(text)
		if err != nil || a.Port() == 0 {
			return nil, problemf(http.StatusBadRequest, BadRequest, "address %q is no IP:PORT", healthd.Line(text, 60))
		}
		all = append(all, plainAddress(a))
	}
	return all, nil
}

func plainAddress(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone("").Unmap(), a.Port())
}

// has reports whether a row's address is one of these, or may be: a name is not looked up, for what the balancer made of it is what counts.
func (all addresses) has(row string) (is, maybe bool) {
	if a, err := netip.ParseAddrPort(row); err == nil {
		return slices.Contains(all, plainAddress(a)), false
	}
	i := strings.LastIndexByte(row, ':')
	if i < 0 {
		return false, false
	}
	port, err := strconv.ParseUint(row[i+1:], 10, 16)
	return false, err == nil && slices.ContainsFunc(all, func(a netip.AddrPort) bool { return a.Port() == uint16(port) })
}
