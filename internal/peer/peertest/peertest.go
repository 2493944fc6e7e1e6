// Package peertest gives tests the real programs. A missing program skips the test at home and fails it where
// LBMEDIC_REQUIRE_PEERS=1, as in CI.
package peertest

import (
	"os"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
)

// Each runs the test once for every cached version of the kind ("haproxy" or "nginx"), as a subtest named after it.
func Each(t *testing.T, kind string, test func(t *testing.T, prog peer.Program)) {
	t.Helper()
	for _, prog := range versions(t, kind) {
		t.Run(prog.Name, func(t *testing.T) { test(t, prog) })
	}
}

// versions are all four where every version is required, and fails or skips where fewer were found.
func versions(t testing.TB, kind string) []peer.Program {
	t.Helper()
	programs := peer.Cached(kind)
	if len(programs) < 4 {
		Missing(t, "found %d of 4 versions of %s; run integration/peers.sh test", len(programs), kind)
	}
	return programs
}

// One gives the version of the kind that Debian 12 carries, for tests that need the real program but not each of its versions.
func One(t testing.TB, kind string) peer.Program {
	t.Helper()
	if prog, ok := peer.Installed(kind); ok {
		return prog
	}
	Missing(t, "%s is not installed; run integration/peers.sh test", kind)
	return peer.Program{}
}

// Version gives one cached version, such as Version(t, "haproxy", "3.0").
func Version(t testing.TB, kind, version string) peer.Program {
	t.Helper()
	for _, prog := range versions(t, kind) {
		if prog.Version() == version {
			return prog
		}
	}
	Missing(t, "%s %s is not among the cached versions; run integration/peers.sh test", kind, version)
	return peer.Program{}
}

// HAProxy starts the program and stops it when the test ends; its log is printed if the test failed.
func HAProxy(t testing.TB, prog peer.Program, dir, config string) *peer.HAProxy {
	t.Helper()
	h, err := peer.StartHAProxy(prog, dir, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, h.Process) })
	return h
}

// Nginx starts the program and stops it when the test ends; its log is printed if the test failed.
func Nginx(t testing.TB, prog peer.Program, dir, config, address string) *peer.Nginx {
	t.Helper()
	n, err := peer.StartNginx(prog, dir, config, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n.Process) })
	return n
}

// Tool gives the path of a program by its name in the list at peer.Tool.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, ok := peer.Tool(name)
	if !ok {
		Missing(t, "%s is not in the cache; run integration/peers.sh test", name)
	}
	return path
}

// Consul starts a Consul 1.22 agent in dev mode, alone on 127.0.0.1, and ends it with the test. The lines are added to its config.
func Consul(t testing.TB, lines string) *peer.Consul {
	t.Helper()
	programs := peer.Cached("consul")
	if len(programs) == 0 {
		Missing(t, "consul is not in the cache; run integration/peers.sh test")
		return nil
	}
	c, err := peer.StartConsul(programs[len(programs)-1], Dir(t), "test", lines)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c.Process) })
	return c
}

// Start starts a server and stops it when the test ends; its log is printed if the test failed.
func Start(t testing.TB, server peer.Server) *peer.Process {
	t.Helper()
	p, err := server.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, p) })
	return p
}

func stop(t testing.TB, p *peer.Process) {
	p.Stop()
	if t.Failed() {
		t.Logf("the peer's log:\n%s", p.Log())
	}
}

// Root is for tests in which the real program has to become another user, or to write where only root may: a cached
// version that runs without root is alone in its user namespace.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "the real program needs root here; run the tests as root")
	}
}

// Dir is a short-named folder that the peers may enter, removed when the test ends.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := peer.Dir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}

// Port is a TCP port that was free on 127.0.0.1 a moment ago.
func Port(t testing.TB) int {
	t.Helper()
	port, err := peer.Port()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Missing skips the test, or fails it where LBMEDIC_REQUIRE_PEERS=1, because this machine lacks what the test needs.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("LBMEDIC_REQUIRE_PEERS") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
