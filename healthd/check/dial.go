package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// forbidden are the addresses no check may reach whatever a name resolves to: link-local ones, where clouds serve credentials of the
// host, and the metadata addresses outside of those (Amazon's IPv6 one, Alibaba's, Oracle's).
var forbidden = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::254/128"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("192.0.0.192/32"),
}

// Forbidden reports whether a check may not reach the address: it is link-local, multicast, or a cloud's metadata service, or an IPv6
// address that a router or the kernel turns into one of those.
func Forbidden(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	return slices.ContainsFunc(append(embedded(addr), addr), forbiddenItself)
}

func forbiddenItself(addr netip.Addr) bool {
	if addr.IsMulticast() {
		return true
	}
	for _, p := range forbidden {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// embedded are the IPv4 addresses that an IPv6 address stands for: IPv4-compatible (::a.b.c.d), 6to4 (RFC 3056), NAT64 with the well-known
// prefix, and with the one for local use (RFC 8215), where RFC 6052 knows a place for each length of a prefix within.
func embedded(addr netip.Addr) []netip.Addr {
	if !addr.Is6() {
		return nil
	}
	b := addr.As16()
	at := func(places ...[4]int) (all []netip.Addr) {
		for _, i := range places {
			all = append(all, netip.AddrFrom4([4]byte{b[i[0]], b[i[1]], b[i[2]], b[i[3]]}))
		}
		return all
	}
	last := [4]int{12, 13, 14, 15}
	switch {
	case netip.MustParsePrefix("::/96").Contains(addr), netip.MustParsePrefix("64:ff9b::/96").Contains(addr):
		return at(last)
	case netip.MustParsePrefix("2002::/16").Contains(addr):
		return at([4]int{2, 3, 4, 5})
	case netip.MustParsePrefix("64:ff9b:1::/48").Contains(addr):
		return at(last, [4]int{6, 7, 9, 10}, [4]int{7, 9, 10, 11}, [4]int{9, 10, 11, 12})
	}
	return nil
}

type forbiddenError struct{ addr netip.Addr }

func (e forbiddenError) Error() string {
	return fmt.Sprintf("%s is a link-local or metadata address, which no check may reach", e.addr)
}

// dialer connects for every check over IP. The address is judged after the name is resolved, at the moment of connecting, so a name
// that changes its address changes nothing.
func dialer() net.Dialer {
	d := net.Dialer{
		KeepAlive:     -1,
		FallbackDelay: -1,
		Control: func(_, resolved string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(resolved)
			if err != nil { // an IPv4 address with a zone is one of those
				return fmt.Errorf("%w: %s is no address", syscall.EINVAL, resolved)
			}
			if Forbidden(ap.Addr()) {
				return forbiddenError{ap.Addr()}
			}
			return nil
		},
	}
	d.SetMultipathTCP(false)
	return d
}

// dial makes a fresh connection that will be closed by a reset, so that probes leave no TIME_WAIT behind. Its deadline is that of ctx.
func dial(ctx context.Context, address string) (*net.TCPConn, error) {
	d := dialer()
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.TCPConn) // what a dial of network tcp returns
	if err := conn.SetLinger(0); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// failed makes the outcome of a probe that met an error: a wrongAnswer as it says, anything else as classify finds, with what was
// awaited before the words of an error that is not the network's.
func failed(ctx context.Context, start time.Time, awaited string, err error) healthd.Outcome {
	if wrong, ok := errors.AsType[wrongAnswer](err); ok && !errors.Is(ctx.Err(), context.Canceled) {
		return healthd.NewOutcome(start, time.Since(start), healthd.WrongAnswer, string(wrong))
	}
	if text, ok := tlsTrouble(err); ok && ctx.Err() == nil {
		return healthd.NewOutcome(start, time.Since(start), healthd.WrongAnswer, text)
	}
	class, detail := classify(ctx, err)
	if class == healthd.WrongAnswer && awaited != "" {
		detail = awaited + ": " + detail
	}
	return healthd.NewOutcome(start, time.Since(start), class, detail)
}

// wrongAnswer is a complete answer that is not the one expected.
type wrongAnswer string

func (w wrongAnswer) Error() string { return string(w) }

// ownFaults are the errors of this host, which say nothing about the target. EPERM and EACCES come from a local firewall.
var ownFaults = []error{
	syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	syscall.EPERM, syscall.EACCES, syscall.EAFNOSUPPORT, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EINVAL,
}

// classify turns an error of the network into a class and a detail a person understands.
func classify(ctx context.Context, err error) (healthd.Class, string) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return healthd.OwnFault, "cancelled"
	}
	for _, own := range ownFaults {
		if errors.Is(err, own) {
			return healthd.OwnFault, "probe not made: " + own.Error()
		}
	}
	if refused, ok := errors.AsType[forbiddenError](err); ok {
		return healthd.OwnFault, refused.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		// A name that is authoritatively gone is how Consul's DNS and headless services of Kubernetes say that no instance is left. That a
		// resolver is silent or at a loss says nothing of the target.
		if dns.IsNotFound && !dns.IsTimeout && !dns.IsTemporary {
			return healthd.Refused, "no such name " + dns.Name
		}
		return healthd.OwnFault, "resolve " + dns.Name + ": " + dns.Err
	}
	if missing, ok := errors.AsType[noSocket](err); ok {
		return healthd.Refused, missing.Error()
	}
	switch {
	case isTimeout(err):
		return healthd.TimedOut, "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return healthd.Refused, "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return healthd.Refused, "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return healthd.Refused, "host unreachable"
	}
	return healthd.WrongAnswer, err.Error()
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		return true
	}
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
