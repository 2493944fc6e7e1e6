package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd/serve"
)

// Who is still there is told by what balancers say with their checks, and by nothing else.
func TestABalancerHasLeftOnceItSaysSo(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	view := func(state string, weight, sessions, queued int, at time.Duration) serve.View {
		return serve.View{Balancer: netip.MustParseAddr("10.0.0.9"), Name: "web/app1", State: state, Weight: weight, Sessions: sessions, Queued: queued,
			At: since.Add(at), Interval: 2 * time.Second}
	}
	for name, c := range map[string]struct {
		views []serve.View
		known bool
		who   string
	}{
		"nobody ever asked":                      {nil, false, ""},
		"one that was silent long before":        {[]serve.View{view("UP", 1, 3, 0, -time.Minute)}, false, ""},
		"one that has not asked since":           {[]serve.View{view("UP", 1, 0, 0, -time.Second)}, true, "10.0.0.9 web/app1: not asked since"},
		"one that takes it for up":               {[]serve.View{view("UP", 1, 0, 0, time.Second)}, true, "10.0.0.9 web/app1: takes it for UP"},
		"one that checks nothing":                {[]serve.View{view("no check", 1, 0, 0, time.Second)}, true, "takes it for no check"},
		"one that is down with sessions":         {[]serve.View{view("DOWN", 1, 2, 1, time.Second)}, true, "2 sessions, 1 waiting"},
		"one without weight, with sessions":      {[]serve.View{view("UP", 0, 2, 0, time.Second)}, true, "2 sessions"},
		"one that is down and empty":             {[]serve.View{view("DOWN", 1, 0, 0, time.Second)}, true, ""},
		"one that is not balanced to and empty":  {[]serve.View{view("NOLB", 1, 0, 0, time.Second)}, true, ""},
		"one without weight and empty":           {[]serve.View{view("UP", 0, 0, 0, time.Second)}, true, ""},
		"two, of which one has left":             {[]serve.View{view("DOWN", 1, 0, 0, time.Second), view("UP", 1, 9, 0, time.Second)}, true, "9 sessions"},
		"one that left before it was known gone": {[]serve.View{view("UP", 1, 0, 0, -3*time.Second)}, true, "not asked since"},
	} {
		p := presentOf(c.views, since)
		if got := strings.Join(p.who, "; "); p.known != c.known || (c.who == "") != (got == "") || !strings.Contains(got, c.who) {
			t.Errorf("%s: known %v, still there: %q", name, p.known, got)
		}
	}
}
