package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	healthserve "github.com/lbmedic/lbmedic/healthd/serve"
)

func TestStatusSaysWhichBalancersAskAndWhichAreSilent(t *testing.T) {
	views := healthserve.NewViews([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")})
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, at := range []time.Duration{0, 2 * time.Second, 4 * time.Second} {
		views.Hear(netip.MustParseAddr("10.0.0.2"), "web", "UP; address=10.0.0.5; port=80; name=web/w1; node=a; weight=100/200; scur=3/9; qcur=0", start.Add(at))
		if i == 0 {
			views.Hear(netip.MustParseAddr("10.0.0.3"), "web", "DOWN 1/2; name=web/w1; weight=1/1", start)
		}
	}
	var out strings.Builder
	if err := viewsTable(views.All(), start.Add(5*time.Second)).write(&out, false); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"ASKED BY SERVER SERVICE SAYS WEIGHT SESS ASKED INITIAL", "10.0.0.2 web/w1 web UP 100/200 3 1s ago 100 or more", "10.0.0.3 web/w1 web DOWN 1/1 0 5s ago 1 or more"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", out.String())
	}
	out.Reset()
	if err := viewsTable(views.All(), start.Add(11*time.Second)).write(&out, false); err != nil || !strings.Contains(out.String(), "maint-or-blind") {
		t.Errorf("after 7 s of silence at 2 s: %v\n%s", err, out.String())
	}
}
