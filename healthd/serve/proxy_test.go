package serve

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// Behind a real proxy on this host everything comes from loopback: its callers are strangers where it names them, and always where
// loopback is not trusted. A plain proxy_pass of nginx up to 1.26 names nobody, and is known by its HTTP/1.0; that of 1.30 speaks 1.1, and a
// HAProxy without `option forwardfor` too: nothing tells them from a person on this host, which is what TokensOnly is for.
func TestCallersOfAProxyOnThisHostAreStrangers(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.Refused, 3)
	trusting := serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b, Tokens: []string{token}}))
	strict := serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b, Tokens: []string{token}, TokensOnly: true}))
	told := func(t *testing.T, address, authorization string) bool {
		t.Helper()
		return details(t, address, "127.0.0.1", http.Header{"Authorization": {authorization}}, "localhost")
	}
	if told(t, strict, "") || !told(t, strict, "Bearer "+token) || !told(t, trusting, "") {
		t.Error("asked directly, loopback is trusted, or not, where it should not be, or should")
	}
	peertest.Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		plain, named, closed := peertest.Port(t), peertest.Port(t), peertest.Port(t)
		server := func(port int, to, more string) string {
			return fmt.Sprintf("    server { listen 127.0.0.1:%d; location / { proxy_pass http://%s; %s } }\n", port, to, more)
		}
		peertest.Nginx(t, prog, dir, peer.NginxMain(dir)+"events {}\nhttp {\n"+peer.NginxTemp(dir)+"    access_log off;\n"+
			server(plain, trusting, "")+server(named, trusting, "proxy_http_version 1.1; proxy_set_header X-Real-IP $remote_addr;")+server(closed, strict, "")+"}\n",
			fmt.Sprintf("127.0.0.1:%d", plain))
		if told(t, fmt.Sprintf("127.0.0.1:%d", plain), "") && !strings.HasSuffix(prog.Name, "-1.30") {
			t.Error("plain: the proxy's callers read details")
		}
		if told(t, fmt.Sprintf("127.0.0.1:%d", named), "") || told(t, fmt.Sprintf("127.0.0.1:%d", closed), "") {
			t.Error("the proxy's callers read details")
		}
		if !told(t, fmt.Sprintf("127.0.0.1:%d", plain), "Bearer "+token) {
			t.Error("a token does not come through")
		}
	})
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		dir := peertest.Dir(t)
		named, closed := peertest.Port(t), peertest.Port(t)
		proxy := func(name string, port int, to, more string) string {
			return fmt.Sprintf("listen %s\n    bind 127.0.0.1:%d\n    server s %s\n%s", name, port, to, more)
		}
		peertest.HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+"defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n"+
			proxy("named", named, trusting, "    option forwardfor\n")+proxy("closed", closed, strict, ""))
		for _, port := range []int{named, closed} {
			if told(t, fmt.Sprintf("127.0.0.1:%d", port), "") || !told(t, fmt.Sprintf("127.0.0.1:%d", port), "Bearer "+token) {
				t.Errorf("port %d: the proxy's callers read details, or its token holders do not", port)
			}
		}
	})
}

// HTTP/1.0 is what nginx speaks to us by default, and names nobody.
func TestHTTP10IsNoLoopbackCaller(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.Refused, 3)
	address := serving(t, "127.0.0.1:0", NewHTTP(HTTPSettings{Source: b}))
	for version, want := range map[string]bool{"1.0": false, "1.1": true} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /health/web HTTP/%s\r\nHost: localhost\r\nConnection: close\r\n\r\n", version)
		text, err := io.ReadAll(c)
		if err != nil || strings.Contains(string(text), "seen refused") != want {
			t.Errorf("HTTP/%s: %s, %v", version, text, err)
		}
	}
}
