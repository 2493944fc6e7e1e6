package haproxy

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// targetCases are server lines behind the address; OWN, ONE and TWO are ports that are listened on.
var targetCases = map[string]string{
	"own":                          "check",
	"address with a port":          "check addr 127.0.0.1:ONE",
	"port after the address":       "check addr 127.0.0.1:ONE port TWO",
	"port before the address":      "check port TWO addr 127.0.0.1:ONE",
	"a later address":              "check addr 127.0.0.1:ONE addr 127.0.0.1",
	"address with a family":        "check addr ipv4@127.0.0.1:ONE",
	"tls":                          "check ssl verify none",
	"no-check-ssl":                 "check ssl verify none no-check-ssl",
	"no-check-ssl first":           "no-check-ssl check ssl verify none",
	"check-ssl undone":             "check check-ssl verify none no-check-ssl",
	"no-check-ssl undone":          "check no-check-ssl check-ssl verify none ssl",
	"tls and a port":               "check ssl verify none port ONE",
	"tls and an address":           "check ssl verify none addr 127.0.0.1",
	"tls and an address with port": "check ssl verify none addr 127.0.0.1:ONE",
	"no-ssl":                       "check ssl verify none no-ssl",
	"send-proxy":                   "check send-proxy",
	"send-proxy-v2":                "check send-proxy-v2",
	"send-proxy and a port":        "check send-proxy port ONE",
	"send-proxy and an address":    "check send-proxy addr 127.0.0.1",
	"send-proxy, address, port":    "check send-proxy addr 127.0.0.1:ONE",
	"send-proxy kept":              "check send-proxy no-check-send-proxy",
	"send-proxy undone":            "check send-proxy no-send-proxy",
	"v2 undone":                    "check send-proxy-v2 no-send-proxy-v2",
	"v2 not undone":                "check send-proxy-v2 no-send-proxy",
	"v1 not undone":                "check send-proxy no-send-proxy-v2",
	"v2 with ssl-cn":               "check send-proxy-v2-ssl-cn",
	"v2-ssl undone":                "check send-proxy-v2-ssl no-send-proxy-v2-ssl",
	"v2-ssl half undone":           "check send-proxy-v2-ssl no-send-proxy-v2",
	"v2-ssl-cn undone":             "check send-proxy-v2-ssl-cn no-send-proxy-v2-ssl-cn",
	"v2 undone by v2-ssl":          "check send-proxy-v2 no-send-proxy-v2-ssl",
	"check-send-proxy":             "check check-send-proxy port ONE",
}

// Each version connects its check where the model says, and begins it with what the model says.
func TestCheckTargetIsWhereTheRealProgramConnects(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		compareTargets(t, prog)
	})
}

// arrival is the first bytes of the first check that reached a port.
type arrival struct {
	port  int
	bytes []byte
}

func compareTargets(t *testing.T, prog peer.Program) {
	dir := peertest.Dir(t)
	config := peer.HAProxyGlobal(dir) + "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nbackend b\n option httpchk GET /\n"
	arrivals := map[string]chan arrival{}
	for name, options := range targetCases {
		arrivals[name] = make(chan arrival, 1)
		line := fmt.Sprintf(" server %s 127.0.0.1:OWN inter 200ms %s\n", serverName(name), options)
		for _, port := range []string{"OWN", "ONE", "TWO"} {
			line = strings.ReplaceAll(line, port, fmt.Sprint(listenForCheck(t, arrivals[name])))
		}
		config += line
	}
	h := peertest.HAProxy(t, prog, dir, config)
	files, problems := Load("", h.Config)
	model, more := files.Model(Host{})
	if len(problems)+len(more) > 0 {
		t.Fatal(problems, more)
	}
	deadline := time.After(10 * time.Second)
	for name, first := range arrivals {
		s := model.Backend("b").Server(serverName(name))
		address, port, tls := s.CheckTarget()
		if address != "127.0.0.1" {
			t.Errorf("%s: address %q in the model", name, address)
		}
		select {
		case got := <-first:
			proxy := bytes.HasPrefix(got.bytes, []byte("PROXY ")) || bytes.HasPrefix(got.bytes, []byte("\r\n\r\n\x00\r\nQUIT\n"))
			if hello := got.bytes[0] == 0x16; got.port != port || hello != tls || proxy != s.CheckSaysProxy() {
				t.Errorf("%s: port %d and %q from the program; port %d, TLS %v, PROXY %v in the model", name, got.port, got.bytes, port, tls, s.CheckSaysProxy())
			}
		case <-deadline:
			t.Fatalf("%s: no check came", name)
		}
	}
}

func serverName(name string) string { return strings.NewReplacer(" ", "_", ",", "").Replace(name) }

// listenForCheck listens until the test ends and gives the first bytes that anybody sends.
func listenForCheck(t *testing.T, first chan<- arrival) (port int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	port = listener.Addr().(*net.TCPAddr).Port
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 16)
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			if n, _ := conn.Read(buf); n > 0 {
				select {
				case first <- arrival{port, buf[:n]}:
				default:
				}
			}
			conn.Close()
		}
	}()
	return port
}
