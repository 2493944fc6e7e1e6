package demo

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/internal/peer"
)

func TestATakenPortIsNotUsed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	port, err := freePort(taken, []string{"127.0.0.2", "127.0.0.3"})
	if err != nil || port == taken || port == 0 {
		t.Errorf("port %d, %v", port, err)
	}
	if port, err = freePort(taken, []string{"127.0.0.2"}); err != nil || port != taken {
		t.Errorf("port %d is free on another address: %d, %v", taken, port, err)
	}
}

func TestASecondDemoTakesOtherPorts(t *testing.T) {
	l, err := newLayout("/tmp/x", false)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(SidecarPort)
	for _, p := range l.apps {
		if strings.HasSuffix(p.sidecar, ":"+port) {
			t.Errorf("the sidecar of %s is at %s", p.name, p.sidecar)
		}
	}
	if !strings.Contains(l.otherPort, "port 7780") {
		t.Errorf("nobody is told: %q", l.otherPort)
	}
}

// The daemon refuses a configuration with a mistake; so this is about every key that is written here.
func TestTheConfigurationsHaveNoMistakes(t *testing.T) {
	dir := t.TempDir()
	l, err := newLayout(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	haproxy := &peer.HAProxy{Program: peer.Program{Path: "/usr/sbin/haproxy"}, Config: dir + "/haproxy.cfg", Socket: dir + "/admin.sock", Master: dir + "/master.sock"}
	nginx := &peer.Nginx{Program: peer.Program{Path: "/usr/sbin/nginx"}, Dir: dir, Config: dir + "/nginx.conf"}
	files := map[string]string{"with-nginx": l.controllerConfig(haproxy, nginx), "without-nginx": l.controllerConfig(haproxy, nil)}
	for _, p := range l.apps {
		files[p.name] = l.sidecarConfig(p)
	}
	for name, text := range files {
		path := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, b := range c.Balancers {
			if b.HAProxy != nil && (b.Policy.Mode != config.ModeEnforce || b.Sidecar.Expand("127.0.0.2", "8080", "app1", "web") == "") {
				t.Errorf("%s: %+v", name, b)
			}
		}
		if c.Health != nil && c.Health.OnTerm != config.OnTermLeave {
			t.Errorf("%s: a sidecar that drains when it is stopped keeps everybody waiting", name)
		}
	}
}
