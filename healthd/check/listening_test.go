package check

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

func TestWhoListensIsFound(t *testing.T) {
	listen := func(network, address string) string {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l.Addr().String()
	}
	path := filepath.Join(t.TempDir(), "with space.sock")
	abstract := fmt.Sprintf("@lbm%d", os.Getpid())
	tcp, any4, six := listen("tcp", "127.0.0.1:0"), listen("tcp4", "0.0.0.0:0"), ""
	if l, err := net.Listen("tcp", "[::]:0"); err == nil {
		six = l.Addr().String()
		t.Cleanup(func() { _ = l.Close() })
	}
	listen("unix", path)
	listen("unix", abstract)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	port := func(address string) string { return strconv.Itoa(int(netip.MustParseAddrPort(address).Port())) }
	self, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	me := strings.TrimSpace(string(self))

	for name, c := range map[string]struct {
		target string
		o      options
		class  healthd.Class
		detail string
	}{
		"a port":                  {port(tcp), nil, healthd.OK, fmt.Sprintf("%s (%d) listens at port %s; 0 connections wait", me, os.Getpid(), port(tcp))},
		"any address":             {"*:" + port(tcp), nil, healthd.OK, "listens at port "},
		"an address":              {tcp, nil, healthd.OK, "listens at " + tcp},
		"another address":         {"127.0.0.2:" + port(tcp), nil, healthd.WrongAnswer, "nothing listens at 127.0.0.2:"},
		"one for every address":   {"127.0.0.2:" + port(any4), nil, healthd.OK, "listens at 127.0.0.2:"},
		"not by udp":              {tcp, options{"protocol": {"udp"}}, healthd.WrongAnswer, "nothing listens at udp " + tcp},
		"udp":                     {udp.LocalAddr().String(), options{"protocol": {"udp"}}, healthd.OK, "listens at udp 127.0.0.1:"},
		"not by tcp":              {udp.LocalAddr().String(), nil, healthd.WrongAnswer, "nothing listens at 127.0.0.1:"},
		"a path":                  {path, nil, healthd.OK, "listens at " + path},
		"no path":                 {path + "x", nil, healthd.WrongAnswer, "nothing listens at "},
		"abstract":                {abstract, nil, healthd.OK, "listens at @lbm"},
		"whom we want":            {tcp, options{"by": {me}}, healthd.OK, me},
		"somebody else":           {tcp, options{"by": {"redis-server"}}, healthd.WrongAnswer, "which should be redis-server"},
		"a kernel without tables": {tcp, options{"proc": {t.TempDir()}}, healthd.OwnFault, "1/net/tcp: no such file"},
	} {
		t.Run(name, func(t *testing.T) { sees(t, prober(t, "listening", []string{c.target}, c.o)(), c.class, c.detail) })
	}
	if six != "" {
		sees(t, prober(t, "listening", []string{"[::1]:" + port(six)}, nil)(), healthd.OK, "listens at [::1]:")
		sees(t, prober(t, "listening", []string{"127.0.0.1:" + port(six)}, nil)(), healthd.OK, "listens at 127.0.0.1:")
	}
}

// A program that accepts nothing has connections waiting, and then turns them away.
func TestAnAcceptQueueThatOverflowsIsTold(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 2); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	probe := prober(t, "listening", []string{address}, options{"queue_fail": {"2"}})
	sees(t, probe(), healthd.OK, "0 connections wait to be accepted")

	connect := func(timeout time.Duration) {
		c, err := net.DialTimeout("tcp", address, timeout)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	for range 3 { // a backlog of 2 takes 3
		connect(10 * time.Second)
	}
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		o := probe()
		if o.Value == 3 {
			sees(t, o, healthd.WrongAnswer, "3 connections wait to be accepted, fails above 2")
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the queue is not full: %s", o.Detail)
		}
	}
	for range 3 {
		connect(50 * time.Millisecond)
	}
	sees(t, probe(), healthd.WrongAnswer, "its accept queue overflows: 3 wait to be accepted, and ")
}

func TestPlacesAreValidated(t *testing.T) {
	for _, text := range []string{"", "0", "65536", "app:80", "127.0.0.1", "127.0.0.1:0", ":80", "[::1]", "/" + strings.Repeat("x", 108), "@a\x00b"} {
		if p, err := parsePlace(text, "tcp"); err == nil {
			t.Errorf("parsePlace(%q) = %v", text, p)
		}
	}
}

// In tables of tcp who listens comes first: a row of a connection ends the reading.
func TestConnectionsAreNotRead(t *testing.T) {
	const row = " 0: 0100007F:1F40 00000000:0000 %s 00000000:00000000 00:00000000 00000000 0 0 77 1\n"
	r := strings.NewReader("sl\n" + fmt.Sprintf(row, "0A") + fmt.Sprintf(row, "01") + strings.Repeat("x", 1<<20))
	found, err := readTable(t.Context(), r, place{protocol: "tcp", port: 8000})
	if err != nil || len(found) != 1 || found[0].inode != 77 {
		t.Errorf("got %v, %v", found, err)
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add("sl\n 0: 0100007F:1F40 00000000:0000 0A 00000000:00000003 00:00000000 00000000 0 0 16104690 1\n", "tcp")
	f.Add("sl\n 0: 00000000000000000000000001000000:1F40 0:0 07 0:0 0:0 0 0 0 1 1\n", "udp")
	f.Add("Num\n0000000025afb2f5: 00000002 00000000 00010000 0001 01 16106541 /run/app.sock\n", "unix")
	f.Fuzz(func(t *testing.T, text, protocol string) {
		p := place{protocol: protocol, port: 8000}
		if protocol == "unix" {
			p.path = "/run/app.sock"
		}
		found, err := readTable(t.Context(), strings.NewReader(text), p)
		for _, s := range found {
			if err == nil && !p.serves(s) {
				t.Errorf("%v does not serve %v", s, p)
			}
		}
	})
}

func TestTheOverflowsAreRead(t *testing.T) {
	n, ok := overflowsOf("/proc")
	if want := parseNetstat("TcpExt: A ListenOverflows B\nTcpExt: 1 17 3\nIpExt: ListenOverflows\nIpExt: 5\n"); !ok || want["ListenOverflows"] != 17 || want["B"] != 3 {
		t.Errorf("this host has %d, %v; a made-up one %v", n, ok, want)
	}
}

func FuzzParseNetstat(f *testing.F) {
	f.Add("TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 0 17\nIpExt: InNoRoutes\nIpExt: 0\n")
	f.Add("TcpExt: a\nTcpExt: 1 2 3")
	f.Fuzz(func(t *testing.T, text string) {
		for name, n := range parseNetstat(text) {
			if !strings.Contains(text, name) || !strings.Contains(text, "TcpExt:") {
				t.Errorf("%q gives %s %d", text, name, n)
			}
		}
	})
}

// A socket at [::] may be for IPv6 only, which its row in the tables does not tell.
func TestASocketForIPv6OnlyServesNobodyOfIPv4(t *testing.T) {
	for only, class := range map[int]healthd.Class{1: healthd.WrongAnswer, 0: healthd.OK} {
		listen := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			var set error
			err := c.Control(func(fd uintptr) {
				set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, only)
			})
			return errors.Join(err, set)
		}}
		l, err := listen.Listen(t.Context(), "tcp6", "[::]:0")
		if err != nil {
			peertest.Missing(t, "%v", err)
		}
		t.Cleanup(func() { _ = l.Close() })
		packets, err := listen.ListenPacket(t.Context(), "udp6", "[::]:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = packets.Close() })
		for protocol, address := range map[string]net.Addr{"tcp": l.Addr(), "udp": packets.LocalAddr()} {
			port, o := netip.MustParseAddrPort(address.String()).Port(), options{"protocol": {protocol}}
			want := map[healthd.Class]string{healthd.OK: "listens at ", healthd.WrongAnswer: "nothing listens at "}[class]
			sees(t, prober(t, "listening", []string{fmt.Sprintf("127.0.0.1:%d", port)}, o)(), class, want)
			sees(t, prober(t, "listening", []string{fmt.Sprintf("[::1]:%d", port)}, o)(), healthd.OK, "listens at ")
			sees(t, prober(t, "listening", []string{fmt.Sprint(port)}, o)(), healthd.OK, "listens at ")
		}
	}
	// Of a socket that the kernel does not show us nothing is said.
	p := place{protocol: "tcp", addr: netip.MustParseAddr("127.0.0.1"), port: 1}
	if _, err := p.reached(t.Context(), []socket{{local: netip.MustParseAddrPort("[::]:1"), inode: 1 << 40}}); err == nil || !strings.Contains(err.Error(), "cannot be seen") {
		t.Errorf("got %v", err)
	}
}

// The tables of the host are those of its first process: in a container the proc of the host shows the container's own as net.
func TestTheTablesOfAHostAreNotOurOwn(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	const head = "  sl  local_address\n"
	host := t.TempDir()
	write(t, filepath.Join(host, "net/tcp"), head)
	write(t, filepath.Join(host, "1/net/tcp"), head+" 0: 0100007F:1F40 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 77 1\n")
	sees(t, prober(t, "listening", []string{"127.0.0.1:8000"}, options{"proc": {host}})(), healthd.OK, "listens at 127.0.0.1:8000; 3 connections wait")
	sees(t, prober(t, "listening", []string{l.Addr().String()}, options{"proc": {host}})(), healthd.WrongAnswer, "nothing listens at")
}

func TestAQueueThatCannotBeReadIsNotAsked(t *testing.T) {
	for _, target := range []string{"53", "/run/app.sock", "@app"} {
		for _, key := range []string{"queue_fail", "queue_warn"} {
			if _, err := New("listening", []string{target}, options{"protocol": {"udp"}, key: {"5"}}); err == nil || !strings.Contains(err.Error(), "are for ports of tcp") {
				t.Errorf("%s %s: %v", target, key, err)
			}
		}
	}
}

// Without root nearly nobody's descriptors can be seen, and looking through them all costs the host much.
func TestDescriptorsAreLookedThroughOnlyForWhoIsNamed(t *testing.T) {
	r := &listeningRule{place: place{protocol: "unix", path: "/s"}, proc: t.TempDir()}
	if f := r.owned(t.Context(), []socket{{path: "/s", inode: 1}}); f.class != healthd.OK || f.detail != "somebody listens at /s" || r.owners.inodes != nil {
		t.Errorf("got %v, having looked for %v", f, r.owners.inodes)
	}
	r.process = "app"
	if f := r.owned(t.Context(), []socket{{path: "/s", inode: 1}}); f.class != healthd.OwnFault {
		t.Errorf("got %v", f)
	}
}

func FuzzReadDiag(f *testing.F) {
	f.Add(v6OnlyRequest(place{protocol: "tcp", port: 80}))
	f.Add([]byte{16, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		only := map[uint64]bool{}
		if _, err := readDiag(b, only); err == nil && len(only)*inetDiagMessage > len(b) {
			t.Errorf("%x holds %v", b, only)
		}
	})
}
