package peertest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
)

func TestEveryHAProxyStartsAndAnswers(t *testing.T) {
	Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := Dir(t)
		h := HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+"defaults\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\n")
		c, err := net.Dial("unix", h.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "show info\n"); err != nil {
			t.Fatal(err)
		}
		reply, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(reply), "Version: "+prog.Version()+".") {
			t.Errorf("%v: %.200s", err, reply)
		}
	})
}

func TestEveryNginxStartsAndAnswers(t *testing.T) {
	Each(t, "nginx", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := Dir(t)
		address := fmt.Sprintf("127.0.0.1:%d", Port(t))
		config := peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + "    server { listen " + address + "; return 200 ok; }\n}\n"
		Nginx(t, prog, dir, config, address)
		resp, err := http.Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got := resp.Header.Get("Server"); !strings.HasPrefix(got, "nginx/"+prog.Version()+".") {
			t.Errorf("answered by %q", got)
		}
	})
}
