package grpc

import (
	"context"
	"net/netip"
	"testing"
	"time"

	health "google.golang.org/grpc/health/grpc_health_v1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

func TestNoAddressTakesAllPlaces(t *testing.T) {
	of := func(n byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 32) }
	var ended []netip.Prefix
	w := watchers{most: 8, of: map[netip.Prefix][]*watcher{}}
	add := func(group netip.Prefix, local bool) (*watcher, bool) {
		one := &watcher{group: group, local: local}
		one.end = func(error) { ended = append(ended, group) }
		return one, w.add(one)
	}
	add(of(1), false)
	second, _ := add(of(1), false)
	if _, ok := add(of(1), false); ok {
		t.Error("one address has more than a quarter")
	}
	if w.remove(second); w.all != 1 {
		t.Errorf("%d are left", w.all)
	}
	w.remove(second)
	home := netip.MustParsePrefix("127.0.0.1/32")
	for range 7 {
		if _, ok := add(home, true); !ok {
			t.Fatal("loopback is held to the quarter")
		}
	}
	if _, ok := add(of(2), false); !ok || len(ended) != 1 || ended[0] != home {
		t.Errorf("a newcomer has a place %v, ended %v", ok, ended)
	}
	if _, ok := add(home, true); !ok || len(ended) != 2 || ended[1] != home || w.all != 8 {
		t.Errorf("the greediest itself has a place %v, ended %v of %d", ok, ended, w.all)
	}
	w, ended = watchers{most: 4, of: map[netip.Prefix][]*watcher{}}, nil
	for n := range byte(4) {
		add(of(n), false)
	}
	if _, ok := add(of(9), false); ok || ended != nil {
		t.Errorf("all have one place each, one more had one %v, ended %v", ok, ended)
	}
}

// One caller has all the streams there are; the next is heard all the same, and the oldest is told why it ends.
func TestOneCallerKeepsNobodyFromWatching(t *testing.T) {
	b := board(t, web("app"))
	report(b, healthd.OK, 1)
	client, _, _ := serving(t, Settings{Source: b, Limits: serve.Limits{Waiting: 4}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var streams []health.Health_WatchClient
	for range 5 {
		s, err := client.Watch(ctx, &health.HealthCheckRequest{Service: "web"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	if _, err := streams[0].Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the oldest ended with %v", err)
	}
}
