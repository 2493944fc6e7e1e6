package haproxy

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// checkCases are a defaults section's check and a backend's own.
var checkCases = map[string]struct{ defaults, backend string }{
	"inherited whole":            {"option httpchk GET /dflt HTTP/1.1\n http-check send hdr Host dflt.example", ""},
	"own option":                 {"option httpchk GET /dflt\n http-check send hdr Host dflt.example", "option httpchk GET /own"},
	"own expect":                 {"option httpchk GET /dflt\n http-check send hdr Host dflt.example", "http-check expect status 200"},
	"own header":                 {"option httpchk GET /dflt", "http-check send hdr Host own.example"},
	"bare option":                {"option httpchk GET /dflt HTTP/1.1", "option httpchk"},
	"all in send":                {"", "option httpchk\n http-check send meth HEAD uri /x ver HTTP/1.1 hdr Host a.example hdr X-A 1"},
	"one word is the URI":        {"", "option httpchk /only"},
	"send completes the option":  {"", "option httpchk GET /a\n http-check send uri /b"},
	"option completes the send":  {"", "http-check send uri /b\n option httpchk GET /a HTTP/1.1"},
	"send-state is no rule":      {"option httpchk GET /dflt", "http-check send-state\n http-check disable-on-404"},
	"option after another check": {"option httpchk GET /dflt", "option tcp-check\n option httpchk"},
	"connect first":              {"", "option httpchk\n http-check connect\n http-check send meth GET uri /viaconnect"},
	"two requests":               {"", "option httpchk\n http-check connect\n http-check send meth GET uri /one\n http-check expect status 200\n http-check connect\n http-check send meth GET uri /two"},
}

// The first request that each version sends is the one that the model names.
func TestHTTPCheckIsWhatTheRealProgramSends(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		for name, tt := range checkCases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				compareCheck(t, prog, tt.defaults, tt.backend)
			})
		}
	})
}

func compareCheck(t *testing.T, prog peer.Program, defaults, backend string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dir := peertest.Dir(t)
	config := fmt.Sprintf(`%sdefaults
 mode http
 timeout connect 1s
 timeout client 1s
 timeout server 1s
 %s
backend b
 %s
 server s %s check inter 300ms
`, peer.HAProxyGlobal(dir), defaults, backend, listener.Addr())
	h := peertest.HAProxy(t, prog, dir, config)
	files, problems := Load("", h.Config)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	model, problems := files.Model(Host{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	check := model.Backend("b").Check.HTTP
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if check.Method == "" {
		if err == nil {
			t.Errorf("the program sent %s %s, the model has no request", req.Method, req.RequestURI)
		}
		return
	}
	if err != nil {
		t.Fatalf("the model has %s %s, the program sent nothing: %v", check.Method, check.URI, err)
	}
	got := strings.Join([]string{req.Method, req.RequestURI, req.Proto, req.Host}, " ")
	want := strings.Join([]string{check.Method, check.URI, check.Version, check.Host()}, " ")
	if got != want {
		t.Errorf("the program sent %q, the model has %q", got, want)
	}
	if _, state := req.Header["X-Haproxy-Server-State"]; state != check.SendState {
		t.Errorf("server state sent: %v, in the model: %v", state, check.SendState)
	}
	for _, header := range check.Headers {
		if !strings.EqualFold(header.Name, "host") && req.Header.Get(header.Name) != header.Value {
			t.Errorf("header %s is %q, in the model %q", header.Name, req.Header.Get(header.Name), header.Value)
		}
	}
}
