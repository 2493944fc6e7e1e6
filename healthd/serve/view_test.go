package serve

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheHeaderIsReadAsHAProxyWritesIt(t *testing.T) {
	tail := "; address=10.0.0.5; port=8080; name=web/app-1; node=lb1; weight=1/2; scur=13/22; qcur=4"
	for text, want := range map[string]View{
		"UP" + tail:                     {State: "UP"},
		"UP 2/3" + tail:                 {State: "UP"},
		"DOWN 1/2" + tail:               {State: "DOWN"},
		"NOLB" + tail:                   {State: "NOLB"},
		"no check" + tail:               {State: "no check"},
		"UP" + tail + "; throttle=20%":  {State: "UP", Throttle: 20},
		"UP" + tail + "; something=new": {State: "UP"},
	} {
		want.Name, want.Node, want.Address = "web/app-1", "lb1", "10.0.0.5:8080"
		want.Weight, want.Total, want.Sessions, want.All, want.Queued = 1, 2, 13, 22, 4
		if got, err := parseView(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	if v, err := parseView("UP; address=::1; port=80; name=b/s; weight=1/1"); err != nil || v.Address != "[::1]:80" {
		t.Errorf("IPv6: %+v, %v", v, err)
	}
	if v, err := parseView("UP; address=unix; port=0; name=b/s; weight=1/1"); err != nil || v.Address != "" {
		t.Errorf("a unix socket: %+v, %v", v, err)
	}
}

func TestWhatIsNoHeaderOfHAProxyIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":            "",
		"another word":       "FINE; name=a/b; weight=1/1",
		"half a count":       "UP 2; name=a/b; weight=1/1",
		"no name":            "UP; weight=1/1",
		"no weight":          "UP; name=a/b",
		"no server":          "UP; name=a; weight=1/1",
		"a name with spaces": "UP; name=a/b c; weight=1/1",
		"a line feed":        "UP; name=a/b\nup; weight=1/1",
		"a key twice":        "UP; name=a/b; weight=1/1; weight=2/2",
		"no pair":            "UP; name=a/b; weight=1",
		"a negative weight":  "UP; name=a/b; weight=-1/1",
		"a signed weight":    "UP; name=a/b; weight=+1/1",
		"a huge weight":      "UP; name=a/b; weight=99999999999/1",
		"too long":           "UP; name=a/b; weight=1/1; node=" + strings.Repeat("x", maxState),
		"a long name":        "UP; name=a/" + strings.Repeat("x", 129) + "; weight=1/1",
	} {
		if v, err := parseView(text); err == nil || v != (View{}) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// What is read can be shown: one line, names that HAProxy allows, numbers that are not negative.
func FuzzParseView(f *testing.F) {
	f.Add("UP; address=127.0.0.1; port=7201; name=web/w1; node=vm; weight=100/200; scur=0/0; qcur=0")
	f.Add("NOLB 2/3; address=::1; port=80; name=b/s; node=; weight=0/0; scur=1/2; qcur=9; throttle=81%")
	f.Add("no check; name=a/b; weight=1/1;")
	f.Add("UP 2/3;;=;name=/;weight=/")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseView(text)
		if err != nil {
			if v != (View{}) || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("%q: %+v, %q", text, v, err)
			}
			return
		}
		backend, server, _ := strings.Cut(v.Name, "/")
		if !named(backend) || !named(server) || min(v.Weight, v.Total, v.Sessions, v.All, v.Queued, v.Throttle) < 0 || len(v.Node) > maxNode || strings.ContainsAny(v.Node, "\n\r\x1b") {
			t.Errorf("%q: %+v", text, v)
		}
	})
}

var (
	lb    = netip.MustParseAddr("10.0.0.2")
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func state(name string, weight int) string {
	return fmt.Sprintf("UP; address=10.0.0.5; port=80; name=%s; node=lb; weight=%d/200; scur=0/0; qcur=0", name, weight)
}

func believing() *Views { return NewViews([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}) }

func TestABalancerThatIsSilentForThreeOfItsIntervalsIsMaintOrBlind(t *testing.T) {
	v := believing()
	at := start
	for range 3 {
		v.Hear(lb, "web", state("web/w1", 100), at)
		at = at.Add(2 * time.Second)
	}
	last := at.Add(-2 * time.Second)
	one := v.All()[0]
	if one.Interval != 2*time.Second || one.Presence(last.Add(6*time.Second)) != Present || one.Presence(last.Add(6*time.Second+1)) != MaintOrBlind {
		t.Errorf("got %+v", one)
	}
	v.Hear(lb, "web", state("web/w1", 100), last.Add(time.Hour)) // back from maintenance: that was no interval
	if one = v.All()[0]; one.Interval != 2*time.Second {
		t.Errorf("after an hour of silence the interval is %s", one.Interval)
	}
	v.Hear(lb, "web", state("web/w1", 100), last.Add(time.Hour+100*time.Millisecond)) // one fastinter
	if one = v.All()[0]; one.Interval != 2*time.Second {
		t.Errorf("after one fast check the interval is %s", one.Interval)
	}
}

func TestOnlyTheBalancersNamedAreBelieved(t *testing.T) {
	v := believing()
	v.Hear(netip.MustParseAddr("10.0.1.2"), "web", state("web/w1", 100), start)
	NewViews(nil).Hear(lb, "web", state("web/w1", 100), start)
	if all := v.All(); len(all) != 0 {
		t.Errorf("believed %+v", all)
	}
	v.Hear(netip.MustParseAddr("::ffff:10.0.0.2"), "web", state("web/w1", 100), start)
	if all := v.All(); len(all) != 1 || all[0].Balancer != lb || all[0].Service != "web" {
		t.Errorf("got %+v", all)
	}
	v.Believe([]netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")})
	if all := v.All(); len(all) != 0 {
		t.Errorf("still believed %+v", all)
	}
}

func TestTheInitialWeightIsKnownFromTheTimeBeforeItWasLowered(t *testing.T) {
	for name, c := range map[string]struct {
		heard  []int // weights, one check after the other
		told   []int // percent, before each
		steps  bool
		coarse bool
	}{
		"nothing heard":                     {},
		"ten":                               {heard: []int{10}, told: []int{100}, steps: true},
		"nine":                              {heard: []int{9}, told: []int{100}},
		"lowered by us":                     {heard: []int{10, 5, 2}, told: []int{100, 50, 25}, steps: true},
		"slow start":                        {heard: []int{2, 7, 10}, told: []int{100, 100, 100}, steps: true},
		"lowered before the restart":        {heard: []int{50}, told: []int{50}, steps: true},
		"an operator lowered it":            {heard: []int{100, 5}, told: []int{100, 100}},
		"an operator's weight over 1":       {heard: []int{50, 0, 0}, told: []int{100, 50, 50}, coarse: true},
		"a check under way while we said 0": {heard: []int{50, 0, 25}, told: []int{100, 50, 50}, steps: true},
		"drained by weight":                 {heard: []int{100, 0, 0, 0}, told: []int{100, 0, 0, 0}, steps: true},
		"reloaded with another weight":      {heard: []int{100, 1}, told: []int{100, 100}},
	} {
		t.Run(name, func(t *testing.T) {
			v := believing()
			for i, weight := range c.heard {
				v.tell(lb, "web", c.told[i])
				v.Hear(lb, "web", state("web/w1", weight), start.Add(time.Duration(i)*time.Second))
			}
			if got := v.steps(asker{lb, "web", "", true}, start); got != c.steps {
				t.Errorf("steps %v: %+v", got, v.All())
			}
			if all := v.All(); len(all) > 0 && all[0].Coarse != c.coarse {
				t.Errorf("coarse %v, want %v", all[0].Coarse, c.coarse)
			}
		})
	}
}

// One agent answers for every row of the balancer: a percentage that is a step for one is weight 0 for another.
func TestEveryRowOfTheBalancerMustAllowSteps(t *testing.T) {
	v := believing()
	v.Hear(lb, "web", state("web/w1", 100), start)
	if !v.steps(asker{lb, "web", "", true}, start) {
		t.Fatal("one row of 100 forbids steps")
	}
	v.Hear(lb, "web", state("old/w1", 1), start)
	for row, want := range map[string]bool{"": false, "web/w1": true, "old/w1": false, "new/w1": false} {
		if got := v.steps(asker{lb, "web", row, true}, start); got != want {
			t.Errorf("with %q: %v", row, got)
		}
	}
	if !v.steps(asker{lb, "web", "", true}, start.Add(forgetRow)) {
		t.Error("a row that is gone for an hour forbids steps")
	}
	v.Hear(lb, "api", state("api/w1", 1), start)
	if v.steps(asker{lb, "api", "", true}, start) || v.steps(asker{netip.MustParseAddr("10.0.0.3"), "web", "", true}, start) {
		t.Error("another service, or another balancer, borrows")
	}
}

// A check of the whole instance does not tell whose server it is: it forbids, and allows only where there is one service.
func TestACheckOfTheWholeInstanceAllowsOnlyTheOneService(t *testing.T) {
	v := believing()
	v.Hear(lb, "", state("any/w1", 100), start)
	if !v.steps(asker{lb, "web", "", true}, start) || v.steps(asker{lb, "web", "", false}, start) {
		t.Error("of the whole instance")
	}
	v.Hear(lb, "web", state("web/w1", 100), start)
	if !v.steps(asker{lb, "web", "", false}, start) || v.steps(asker{lb, "api", "", false}, start) {
		t.Error("of the service")
	}
	v.Hear(lb, "", state("any/w1", 1), start)
	if v.steps(asker{lb, "web", "", false}, start) {
		t.Error("a row that may be of the service is ignored")
	}
}

func TestThePathTellsTheService(t *testing.T) {
	for path, want := range map[string]string{"/health/web": "web", "/health": "", "/health/by-port/80": "", "/livez": "", "/health/": ""} {
		if got := serviceOf(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestViewsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := NewViews([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		at := start
		for i := range rapid.IntRange(1, 2000).Draw(t, "checks") {
			n := (i * 7919) % 700
			from := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
			if i%3 == 0 {
				from = lb
			}
			at = at.Add(time.Millisecond)
			v.Hear(from, "web", state(fmt.Sprintf("b/s%d", i), 100), at)
		}
		if len(v.rows) > maxBalancers || len(v.rows[lb]) > maxRows {
			t.Fatalf("%d balancers, %d rows", len(v.rows), len(v.rows[lb]))
		}
		if all := v.All(); !all[len(all)-1].At.Equal(at) && latest(v.rows[all[len(all)-1].Balancer]).At.After(at) {
			t.Fatal("the newest is not there")
		}
	})
}
