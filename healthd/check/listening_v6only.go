package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// reached leaves out the sockets at [::] that take IPv6 only where the place is an address of IPv4. The tables do not tell which those are; the
// kernel is asked, of the sockets of our own network: where it does not know one, or does not say, the answer is that nobody can tell.
func (p place) reached(ctx context.Context, sockets []socket) ([]socket, error) {
	doubtful := func(s socket) bool { return p.addr.Is4() && s.local.Addr() == netip.IPv6Unspecified() }
	if !slices.ContainsFunc(sockets, doubtful) || slices.ContainsFunc(sockets, func(s socket) bool { return !doubtful(s) }) {
		return sockets, nil
	}
	only, err := askV6Only(ctx, p)
	var reached []socket
	for _, s := range sockets {
		not, told := only[s.inode]
		if !told {
			return nil, fmt.Errorf("whether %s is reached cannot be seen: at [::]:%d somebody listens, and whether for IPv4 too is not told%s; "+
				"check port %d, or [::]:%d", p, p.port, because(err), p.port, p.port)
		}
		if !not {
			reached = append(reached, s)
		}
	}
	return reached, nil
}

const (
	inetDiagV6Only  = 11 // INET_DIAG_SKV6ONLY of linux/inet_diag.h
	inetDiagInode   = 68 // where struct inet_diag_msg has idiag_inode
	inetDiagMessage = 72 // how long it is
	inetDiagRequest = 56 // how long struct inet_diag_req_v2 is
	tcpClose        = 7  // what a udp socket that is not connected is in
	tcpListen       = 10
)

// askV6Only asks the kernel which sockets of IPv6 that listen at the port take IPv6 only, by inode: sock_diag(7).
func askV6Only(ctx context.Context, p place) (map[uint64]bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()                                                    // all was said by then
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil { // nobody but the kernel is heard
		return nil, fmt.Errorf("ask the kernel: %w", err)
	}
	wait := time.Second
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(time.Millisecond, min(wait, time.Until(deadline)))
	}
	timeout := unix.NsecToTimeval(wait.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return nil, err
	}
	if _, err := unix.Write(fd, v6OnlyRequest(p)); err != nil {
		return nil, fmt.Errorf("ask the kernel: %w", err)
	}
	only := map[uint64]bool{}
	for buf := make([]byte, 32<<10); ; {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return only, fmt.Errorf("ask the kernel: %w", err)
		}
		if done, err := readDiag(buf[:n], only); done || err != nil {
			return only, err
		}
	}
}

// v6OnlyRequest asks for all sockets of IPv6 at the port in the state of those that listen.
func v6OnlyRequest(p place) []byte {
	protocol, state := byte(unix.IPPROTO_TCP), tcpListen
	if p.protocol == "udp" {
		protocol, state = unix.IPPROTO_UDP, tcpClose
	}
	b := make([]byte, unix.NLMSG_HDRLEN+inetDiagRequest)
	order := binary.NativeEndian
	order.PutUint32(b, uint32(len(b)))
	order.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := b[unix.NLMSG_HDRLEN:]
	body[0], body[1] = unix.AF_INET6, protocol
	order.PutUint32(body[4:], 1<<state)
	binary.BigEndian.PutUint16(body[8:], p.port)
	for i := range 8 {
		body[48+i] = 0xff // INET_DIAG_NOCOOKIE
	}
	return b
}

// readDiag reads the messages of one packet into only; done is true after the last one of all.
func readDiag(b []byte, only map[uint64]bool) (done bool, err error) {
	order := binary.NativeEndian
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(order.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return false, errors.New("the kernel's answer is cut")
		}
		kind, body := order.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:size]
		b = b[min((size+3)&^3, len(b)):]
		switch {
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR && len(body) >= 4:
			return true, fmt.Errorf("ask the kernel: %w", unix.Errno(-int32(order.Uint32(body))))
		case kind != unix.SOCK_DIAG_BY_FAMILY || len(body) < inetDiagMessage:
			continue
		}
		if not, ok := v6Only(body[inetDiagMessage:]); ok {
			only[uint64(order.Uint32(body[inetDiagInode:]))] = not
		}
	}
	return false, nil
}

// v6Only looks for the attribute that tells it.
func v6Only(attributes []byte) (only, ok bool) {
	const head = 4
	for b := attributes; len(b) >= head; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < head || size > len(b) {
			return false, false
		}
		if binary.NativeEndian.Uint16(b[2:]) == inetDiagV6Only && size > head {
			return b[head] != 0, true
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return false, false
}
