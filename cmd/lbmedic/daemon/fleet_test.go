package daemon

import (
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
)

func TestThePortOfTheFleetStaysWhereItIs(t *testing.T) {
	at := func(change func(*config.Remote)) *config.Remote {
		r := &config.Remote{Listen: netip.MustParseAddrPort("10.0.0.1:7784"), Cert: "c", Key: "k", ClientCA: "a", Allow: []string{"x"}}
		change(r)
		return r
	}
	same := at(func(*config.Remote) {})
	for name, c := range map[string]struct {
		old, next *config.Remote
		want      bool
	}{
		"none":        {nil, nil, true},
		"the same":    {same, at(func(*config.Remote) {}), true},
		"other names": {same, at(func(r *config.Remote) { r.Allow = []string{"y"} }), true},
		"it comes":    {nil, same, false},
		"it goes":     {same, nil, false},
		"elsewhere":   {same, at(func(r *config.Remote) { r.Listen = netip.MustParseAddrPort("10.0.0.2:7784") }), false},
		"another key": {same, at(func(r *config.Remote) { r.Key = "k2" }), false},
	} {
		if got := samePort(c.old, c.next); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAFleetThatCannotBeKnownIsAMistakeBeforeAnythingBegins(t *testing.T) {
	for words, cfg := range map[string]*config.Config{
		"health.controllers: ":     {Health: &config.Health{Controllers: &config.Controllers{URLs: []string{"https://10.0.0.1:7784"}, CA: "/none", Cert: "/none", Key: "/none"}}},
		"admin.remote.allow: \"a=": {Admin: config.Admin{Remote: &config.Remote{Allow: []string{"a=root"}}}},
	} {
		if _, err := fleetOf(cfg, zap.NewNop()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want %q", err, words)
		}
	}
	if f, err := fleetOf(&config.Config{}, zap.NewNop()); err != nil || f != (fleet{}) {
		t.Errorf("without a fleet: %+v, %v", f, err)
	}
}
