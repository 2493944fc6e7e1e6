package admin

import (
	"net"
	"net/netip"
	"slices"

	"github.com/lbmedic/lbmedic/healthd/serve"
)

// whereabouts are the addresses under which balancers may know a service of this host: the one that it listens on, for a wildcard or a
// loopback address those of the host's interfaces, and whatever balancers call it in their checks. A loopback address means this host only
// to a controller that is on it.
type whereabouts struct {
	name    string
	address string // of the service, host:port, as configured; may be empty
	host    []netip.Addr
	views   []serve.View
}

// hostAddresses are those of this host's interfaces, without loopback and link-local ones. What cannot be read is left out.
func hostAddresses() (all []netip.Addr) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			all = append(all, p.Addr().Unmap())
		}
	}
	return all
}

func (w whereabouts) at(local bool) (all []netip.AddrPort) {
	add := func(a netip.AddrPort) {
		a = plainAddress(a)
		if (!a.Addr().IsLoopback() || local) && !slices.Contains(all, a) && len(all) < maxAddresses {
			all = append(all, a)
		}
	}
	own, port := w.own()
	for _, v := range w.views {
		a, err := netip.ParseAddrPort(v.Address)
		if err == nil && (v.Service == w.name || v.Service == "" && a.Port() == port) {
			add(a)
		}
	}
	for _, a := range own {
		add(netip.AddrPortFrom(a, port))
	}
	return all
}

// own are the addresses that the configured one means. A name is not looked up: it need not lead balancers here.
func (w whereabouts) own() (ips []netip.Addr, port uint16) {
	host, text, err := net.SplitHostPort(w.address)
	if err != nil {
		return nil, 0
	}
	p, err := net.LookupPort("tcp", text)
	if err != nil {
		return nil, 0
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "" || host == "localhost" || err == nil && ip.IsUnspecified():
		ips = append([]netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, w.host...)
	case err == nil && ip.IsLoopback():
		ips = append([]netip.Addr{ip}, w.host...)
	case err == nil:
		ips = []netip.Addr{ip}
	}
	return ips, uint16(p)
}
