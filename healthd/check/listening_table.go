package check

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// place is where somebody should listen.
type place struct {
	protocol string // tcp, udp or unix
	addr     netip.Addr
	port     uint16
	path     string // of unix; @name in the abstract
}

// parsePlace reads 8080, *:8080, 127.0.0.1:8080, [::1]:8080, /run/app.sock or @app.
func parsePlace(text, protocol string) (place, error) {
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "@") {
		if len(text) > 108 || strings.ContainsAny(text, "\n\x00") { // sun_path of unix(7)
			return place{}, fmt.Errorf("%q is no path of a unix socket, which has up to 108 bytes", healthd.Line(text, 40))
		}
		return place{protocol: "unix", path: text}, nil
	}
	if port, ok := strings.CutPrefix(text, "*:"); ok {
		text = port
	}
	if port, err := strconv.ParseUint(text, 10, 16); err == nil && port > 0 {
		return place{protocol: protocol, port: uint16(port)}, nil
	}
	ap, err := netip.ParseAddrPort(text)
	if err != nil || ap.Port() == 0 {
		return place{}, fmt.Errorf("%q is no port, address:port, path or @name", healthd.Line(text, 80))
	}
	return place{protocol: protocol, addr: ap.Addr().Unmap().WithZone(""), port: ap.Port()}, nil
}

// String is how people write it: 127.0.0.1:8080, port 8080, udp port 53, /run/app.sock.
func (p place) String() string {
	udp := ""
	if p.protocol == "udp" {
		udp = "udp "
	}
	switch {
	case p.path != "":
		return p.path
	case p.addr.IsValid():
		return udp + netip.AddrPortFrom(p.addr, p.port).String()
	}
	return udp + "port " + strconv.Itoa(int(p.port))
}

// socket is one that listens.
type socket struct {
	local netip.AddrPort
	path  string
	inode uint64
	queue uint64 // of tcp: connections that wait to be accepted
}

// serves reports whether who connects to the place reaches the socket: any address is reached at each.
func (p place) serves(s socket) bool {
	if p.path != "" || s.path != "" {
		return p.path == s.path
	}
	a := s.local.Addr()
	return s.local.Port() == p.port && (!p.addr.IsValid() || a == p.addr || a.IsUnspecified() && (a.Is6() || p.addr.Is4()))
}

// netOf is where the tables of a host are. In its proc, net stands for those of who reads it, which in a container are the container's own; so
// those of the host's first process are taken.
func netOf(proc string) string {
	if filepath.Clean(proc) == "/proc" {
		return "/proc/net"
	}
	return filepath.Join(proc, "1", "net")
}

// listeners are the sockets that serve the place.
func (p place) listeners(ctx context.Context, proc string) ([]socket, error) {
	tables := map[string][]string{"tcp": {"tcp", "tcp6"}, "udp": {"udp", "udp6"}, "unix": {"unix"}}[p.protocol]
	var found []socket
	for _, table := range tables {
		f, err := os.Open(filepath.Join(netOf(proc), table))
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(table, "6") {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		sockets, err := readTable(ctx, f, p)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("list who listens: %s: %w", f.Name(), err)
		}
		found = append(found, sockets...)
	}
	return found, nil
}

// maxRows bounds how much is read of a table.
const maxRows = 1 << 20

// readTable reads the rows of one of /proc/net/{tcp,tcp6,udp,udp6,unix} that serve the place. In those of tcp the kernel tells who listens before
// any connection (tcp_seq_next of Linux), so that a busy host's table is never read whole.
func readTable(ctx context.Context, r io.Reader, p place) (found []socket, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), 64<<10)
	lines.Scan() // the names of the columns
	for rows := 0; lines.Scan(); rows++ {
		if rows > maxRows {
			return nil, fmt.Errorf("it has more than %d rows", maxRows)
		}
		if rows%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		row := socketRow
		if p.protocol == "unix" {
			row = unixRow
		}
		s, listens, err := row(lines.Text())
		if err != nil {
			return nil, err
		}
		if p.protocol == "tcp" && !listens {
			break
		}
		if listens && p.serves(s) {
			found = append(found, s)
		}
	}
	return found, lines.Err()
}

// socketRow reads a row of tcp, tcp6, udp or udp6: proc_net(5).
//
//	0: 0100007F:1F40 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 16104690 1 …
func socketRow(line string) (s socket, listens bool, err error) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return s, false, fmt.Errorf("row %q has not ten fields", healthd.Line(line, 60))
	}
	if s.local, err = parseHexAddress(fields[1]); err != nil {
		return s, false, err
	}
	_, queue, _ := strings.Cut(fields[4], ":")
	if s.queue, err = strconv.ParseUint(queue, 16, 64); err != nil {
		return s, false, fmt.Errorf("queue %q is no number", healthd.Line(fields[4], 40))
	}
	inode, ok := decimal(fields[9])
	if !ok {
		return s, false, fmt.Errorf("inode %q is no number", healthd.Line(fields[9], 40))
	}
	s.inode = inode
	// 0A is TCP_LISTEN; 07 is what an unconnected udp socket is in.
	return s, fields[3] == "0A" || fields[3] == "07", nil
}

// parseHexAddress reads 0100007F:1F40, whose address is in words of 32 bits as the processor keeps them.
func parseHexAddress(text string) (netip.AddrPort, error) {
	address, port, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("address %q is none", healthd.Line(text, 60))
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw) // of 4 or 16 bytes, which is one
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// unixRow reads a row of unix: proc_net(5). A socket listens whose flags have __SO_ACCEPTCON.
//
//	0000000025afb2f5: 00000002 00000000 00010000 0001 01 16106541 /run/app.sock
func unixRow(line string) (s socket, listens bool, err error) {
	fields := strings.SplitN(strings.Join(strings.Fields(line), " "), " ", 8)
	if len(fields) < 7 {
		return s, false, fmt.Errorf("row %q has not seven fields", healthd.Line(line, 60))
	}
	flags, err := strconv.ParseUint(fields[3], 16, 32)
	inode, ok := decimal(fields[6])
	if err != nil || !ok {
		return s, false, fmt.Errorf("row %q has no flags or inode", healthd.Line(line, 60))
	}
	const acceptCon = 1 << 16
	if len(fields) == 8 {
		s.path = fields[7]
	}
	s.inode = inode
	// A datagram socket (type 0002) listens without accepting.
	return s, s.path != "" && (flags&acceptCon != 0 || fields[4] == "0002"), nil
}

func decimal(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil
}
