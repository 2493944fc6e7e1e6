package serve

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// The state was lost while a balancer had our weight 0: it is told, once, and a person's ready mends it.
func TestALostDrainIsToldAndMendedByReady(t *testing.T) {
	for word, mended := range map[DrainWord]string{DrainByState: "ready up 100%", DrainByWeight: "up 100%"} {
		t.Run(string(word), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSpeaker(t, word, 30*time.Second)
				var told []string
				s.agent.settings.Problem = func(err error) { told = append(told, err.Error()) }
				s.says("up")
				for range 10 {
					s.shown(0)
					s.says("up") // it may be an operator's
					time.Sleep(2 * time.Second)
				}
				if len(told) != 1 || !strings.Contains(told[0], "10.0.0.2 gives web/w1 the weight 0") || !strings.Contains(told[0], "`lbmedic ready web`") {
					t.Errorf("told %q", told)
				}
				s.source.set(healthd.Service{Status: healthd.Pass, Weight: 100, Admin: healthd.Admin{By: "operator alice", Since: time.Now()}})
				for range 12 { // gaps of 2 s
					s.says(mended)
					time.Sleep(2 * time.Second)
				}
				s.shown(100)
				for range int(healthd.OfferedFor / time.Second) {
					s.says("up")
					time.Sleep(2 * time.Second)
				}
			})
		})
	}
}

// An order is said whatever the health is.
func TestAnOrderIsSaidWhileNothingIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		word  DrainWord
		state healthd.AdminState
		want  string
	}{
		"drain":           {DrainByState, healthd.Drain, "drain"},
		"drain by weight": {DrainByWeight, healthd.Drain, "0%"},
		"maint":           {DrainByWeight, healthd.Maint, "maint"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpeaker(t, c.word, 0)
			s.source.set(healthd.Service{Status: healthd.Unknown, Admin: healthd.Admin{State: c.state}})
			s.says(c.want)
			s.source.set(healthd.Service{Status: healthd.Unknown})
			if line, err := s.agent.line(asker{lb, "web", "", true}, time.Now()); err != nil || !line.silent() {
				t.Errorf("without an order: %q, %v", line, err)
			}
		})
	}
}

// Whoever is none of the balancers hears health, and of an order nothing: not "up" either.
func TestAnOrderIsForBalancersOnly(t *testing.T) {
	for _, word := range []DrainWord{DrainByState, DrainByWeight} {
		s := newSpeaker(t, word, 0)
		s.agent.settings.Balancers = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
		stranger := asker{netip.MustParseAddr("10.9.9.9"), "web", "", true}
		if line, err := s.agent.line(stranger, time.Now()); err != nil || line.String() != "up\n" {
			t.Errorf("%s, no order: %q, %v", word, line, err)
		}
		s.order(healthd.Drain)
		line, err := s.agent.line(stranger, time.Now())
		if err == nil || !line.silent() || !strings.Contains(err.Error(), "10.9.9.9 asks for web") {
			t.Errorf("%s, a stranger: %q, %v", word, line, err)
		}
		for _, who := range []asker{{lb, "web", "", true}, {netip.MustParseAddr("127.0.0.1"), "web", "", true}} {
			if line, err := s.agent.line(who, time.Now()); err != nil || line.silent() || strings.HasPrefix(line.String(), "up\n") {
				t.Errorf("%s, %s: %q, %v", word, who.balancer, line, err)
			}
		}
	}
}

// The rows of one address are owed each what it heard.
func TestARowThatHeardNoDrainIsOwedNothing(t *testing.T) {
	s := newSpeaker(t, DrainByState, 0)
	ask := func(row, want string) {
		t.Helper()
		line, err := s.agent.line(asker{lb, "web", row, false}, time.Now())
		if err != nil || line.String() != want+"\n" {
			t.Errorf("%s: %q, %v, want %q", row, line, err, want)
		}
	}
	s.order(healthd.Drain)
	ask("a/w1", "drain")
	s.order(healthd.Ready)
	ask("b/w1", "up")
	ask("a/w1", "ready up")
}

// A proxy on this host passes on what strangers send.
func TestAForwardedStateIsNotBelieved(t *testing.T) {
	for _, name := range append([]string{""}, forwarders...) {
		v := NewViews([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		until(t, func(ctx context.Context) error { return NewHTTP(HTTPSettings{Source: board(t), Views: v}).Run(ctx, l) })
		req, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+"/health/web", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		req.Header.Set(stateHeader, state("web/w1", 100))
		if name != "" {
			req.Header.Set(name, "203.0.113.9")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if believed := len(v.All()) == 1; believed != (name == "") {
			t.Errorf("with %q: believed %v", name, believed)
		}
	}
}

// What made the weight 0 once was an operator, if the whole weight allows steps.
func TestAWholeWeightEndsTheBanOnSteps(t *testing.T) {
	v, now := believing(), start
	say := func(weight int) {
		now = now.Add(2 * time.Second)
		v.Hear(lb, "web", state("web/w1", weight), now)
	}
	say(100)
	v.tell(lb, "web", 50)
	say(0)
	say(0)
	who := asker{lb, "web", "", true}
	v.tell(lb, "web", 100)
	if v.steps(who, now) || !v.All()[0].Coarse {
		t.Error("a percentage that became 0 is given on")
	}
	say(1)
	if v.steps(who, now) || !v.All()[0].Coarse {
		t.Error("half of 1 is given")
	}
	say(100)
	if !v.steps(who, now) || v.All()[0].Coarse {
		t.Errorf("no percentage is given of 100: %+v", v.All())
	}
}
