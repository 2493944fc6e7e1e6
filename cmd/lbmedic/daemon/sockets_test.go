package daemon

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"go.uber.org/zap"
)

func TestASocketThatWasPassedIsKnownByItsAddress(t *testing.T) {
	for name, c := range map[string]struct {
		bound, wanted string
		is            bool
	}{
		"the same":                     {"127.0.0.1:7780", "127.0.0.1:7780", true},
		"another port":                 {"127.0.0.1:7781", "127.0.0.1:7780", false},
		"another address":              {"127.0.0.2:7780", "127.0.0.1:7780", false},
		"everywhere, by its IPv6 name": {"[::]:7780", "0.0.0.0:7780", true},
		"everywhere is more than one":  {"[::]:7780", "127.0.0.1:7780", false},
		"IPv4 as IPv6":                 {"[::ffff:127.0.0.1]:7780", "127.0.0.1:7780", true},
		"any free port is none":        {"127.0.0.1:0", "127.0.0.1:0", false},
	} {
		bound := at{netip.MustParseAddrPort(c.bound)}
		if got := isAt(bound, netip.MustParseAddrPort(c.wanted)); got != c.is {
			t.Errorf("%s: %v", name, got)
		}
	}
	if isAt(at{}, netip.AddrPort{}) {
		t.Error("a port that is off has a socket")
	}
}

// at is a listener of which only the address matters.
type at struct{ netip.AddrPort }

func (a at) Accept() (net.Conn, error) { return nil, errors.New("none") }
func (a at) Close() error              { return nil }
func (a at) Addr() net.Addr            { return net.TCPAddrFromAddrPort(a.AddrPort) }

// What was passed and nobody wants is closed, for connections would wait there for ever; what a port wants later is kept for it.
func TestWhatWasPassedAndNobodyWantsIsClosed(t *testing.T) {
	wanted, unwanted := listener(t).(*net.TCPListener), listener(t).(*net.TCPListener)
	s := &sockets{log: zap.NewNop(), passed: []passed{{wanted, "lbmedic-agent"}, {unwanted, "lbmedic-old"}}}
	addr := wanted.Addr().(*net.TCPAddr).AddrPort()
	if err := s.release([]port{{name: "agent", addr: addr, late: true}, {name: "grpc"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := unwanted.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the one that nobody wants: %v", err)
	}
	if err := s.free("agent", addr); err != nil {
		t.Errorf("the one that is wanted is taken: %v", err)
	}
	got, err := s.open("agent", addr)
	if err != nil {
		t.Fatal(err)
	}
	if got.first != wanted {
		t.Error("another socket was opened")
	}
	if err := s.free("http", addr); err == nil {
		t.Error("an address that is in use could be opened")
	}
	first, err := got.share()
	if err != nil {
		t.Fatal(err)
	}
	second, err := got.share()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatalf("after the first server ended: %v", err)
	}
	_ = c.Close()
	taken, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(taken.Close(), second.Close(), got.close()); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", addr.String()); err == nil {
		t.Error("it is still open at the end")
	}
}
