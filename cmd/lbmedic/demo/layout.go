package demo

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
)

// The cast of the story.
const (
	backend    = "web"
	balancer   = "edge"     // HAProxy
	second     = "internal" // nginx
	broken     = "app1"     // whose dependency fails
	deployed   = "app2"     // which gets a new release
	spared     = "app3"     // which nginx is told to leave alone
	oldRelease = "v1"
	newRelease = "v2"
	bootTime   = time.Second // of the new release: long enough for HAProxy to notice that nobody listens
)

// appNames are the three apps.
var appNames = [...]string{"app1", "app2", "app3"}

func compareNames(a, b string) int { return cmp.Compare(a, b) }

// SidecarPort is where sidecars listen, as they do by default.
const SidecarPort = 7780

// layout says where everything is. App N and its sidecar live on the loopback address 127.0.0.(N+1), as on a host of
// their own.
type layout struct {
	dir       string
	front     string // HAProxy
	stats     string // HAProxy's statistics page
	nginx     string
	apps      [len(appNames)]place
	otherPort string // why the sidecars do not listen on SidecarPort; empty where they do
}

// place is where one app is.
type place struct {
	name       string
	address    string
	dependency string
	sidecar    string
}

// health is where a balancer's side asks about the app.
func (p place) health() string {
	_, port, _ := net.SplitHostPort(p.address) // of newLayout: it is one
	return "http://" + p.sidecar + "/health/by-port/" + port
}

func (p place) socket(dir string) string { return filepath.Join(dir, p.name+".sock") }

func (l layout) adminSocket() string { return filepath.Join(l.dir, "lbmedic.sock") }

// newLayout finds free ports. alone says that no other demo runs: then the usual ports are tried first.
func newLayout(dir string, alone bool) (layout, error) {
	l := layout{dir: dir}
	var hosts []string
	for i := range appNames {
		hosts = append(hosts, fmt.Sprintf("127.0.0.%d", i+2))
	}
	usual := func(port int) int {
		if !alone {
			return 0
		}
		return port
	}
	var errs []error
	find := func(usual int, hosts ...string) int {
		port, err := freePort(usual, hosts)
		errs = append(errs, err)
		return port
	}
	app, dependency, sidecar := find(usual(8080), hosts...), find(0, hosts...), find(usual(SidecarPort), hosts...)
	for i, name := range appNames {
		at := func(port int) string { return net.JoinHostPort(hosts[i], strconv.Itoa(port)) }
		l.apps[i] = place{name: name, address: at(app), dependency: at(dependency), sidecar: at(sidecar)}
	}
	if sidecar != SidecarPort {
		l.otherPort = fmt.Sprintf("port %d is taken on this host, or another demo runs: the sidecars listen on %d", SidecarPort, sidecar)
	}
	for _, address := range []*string{&l.front, &l.stats, &l.nginx} {
		*address = net.JoinHostPort("127.0.0.1", strconv.Itoa(find(0, "127.0.0.1")))
	}
	return l, errors.Join(errs...)
}

// freePort is the usual port, if it is free on all hosts, or another one that is.
func freePort(usual int, hosts []string) (int, error) {
	if usual != 0 && free(usual, hosts) {
		return usual, nil
	}
	for range 50 {
		port, err := peer.Port()
		if err != nil {
			return 0, err
		}
		if free(port, hosts) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a port that is free on %s: none of 50 was", strings.Join(hosts, ", "))
}

func free(port int, hosts []string) bool {
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			return false
		}
	}
	return true
}
