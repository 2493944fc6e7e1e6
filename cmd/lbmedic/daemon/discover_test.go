package daemon

import (
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

func TestDiscoveryFindsTheBalancersAndServicesOfThisHost(t *testing.T) {
	dir := peertest.Dir(t)
	front := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
	h := peertest.HAProxy(t, peertest.One(t, "haproxy"), dir, peer.HAProxyGlobal(dir)+
		"defaults\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\nlisten web\n    bind "+front+"\n    server a 127.0.0.1:1\n")
	ndir := peertest.Dir(t)
	naddress := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
	n := peertest.Nginx(t, peertest.One(t, "nginx"), ndir,
		peer.NginxMain(ndir)+"events {}\nhttp {\n"+peer.NginxTemp(ndir)+"server { listen "+naddress+"; } }\n", naddress)
	own, err := net.Listen("tcp", "127.0.0.1:0") // of this process: never a service
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()

	cfg := config.Default()
	for _, line := range Discover(t.Context(), cfg) {
		t.Log(line)
	}
	if !slices.ContainsFunc(cfg.Balancers, func(b config.Balancer) bool {
		return b.HAProxy != nil && b.HAProxy.Socket == h.Socket && b.HAProxy.MasterSocket == h.Master && slices.Equal(b.HAProxy.Config, []string{h.Config})
	}) {
		t.Errorf("HAProxy is not among %+v", cfg.Balancers)
	}
	if !slices.ContainsFunc(cfg.Balancers, func(b config.Balancer) bool { return b.Nginx != nil && b.Nginx.Config == n.Config }) {
		t.Errorf("nginx is not among %+v", cfg.Balancers)
	}
	for _, b := range cfg.Balancers {
		if b.Policy.Mode != config.ModeObserve {
			t.Errorf("%s would act", b.Name)
		}
	}
	for _, s := range cfg.Health.Services {
		if s.Address == own.Addr().String() || s.Address == front || s.Address == naddress {
			t.Errorf("%s was taken for a service", s.Address)
		}
	}
}

func TestDiscoveredServicesAreThoseThatListen(t *testing.T) {
	prog := peertest.One(t, "nginx") // any program that listens and is no balancer to us: its PIDs are not told
	dir := peertest.Dir(t)
	address := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
	peertest.Nginx(t, prog, dir, peer.NginxMain(dir)+"events {}\nhttp {\n"+peer.NginxTemp(dir)+"server { listen "+address+"; } }\n", address)
	cfg := config.Default()
	if _, err := discoverServices(cfg, map[int]bool{}); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(cfg.Health.Services, func(s config.Service) bool { return s.Address == address }) {
		t.Errorf("%s is not among %+v", address, cfg.Health.Services)
	}
}
