package daemon

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/remediate/admin"
)

// What a controller does not know holds nobody up and lets nobody go; what it says of old workers counts beside what balancers say.
func TestControllersSayWhoIsStillThere(t *testing.T) {
	ack := func(states ...admin.WitnessState) admin.ServiceDrain {
		d := admin.ServiceDrain{Service: "web"}
		for _, s := range states {
			d.Acks = append(d.Acks, admin.Ack{Controller: "lb1:7784", State: s})
		}
		return d
	}
	const left = "lb1:7784: web is not drained"
	for name, c := range map[string]struct {
		d     admin.ServiceDrain
		known bool
		who   string
	}{
		"no controller":                 {ack(), false, ""},
		"one that does not know":        {ack(admin.WitnessUnknown), false, ""},
		"one without the server":        {ack(admin.WitnessAbsent), false, ""},
		"one where it is drained":       {ack(admin.WitnessDrained), true, ""},
		"one where it is not":           {ack(admin.WitnessDraining), true, left},
		"one of two":                    {ack(admin.WitnessDrained, admin.WitnessDraining), true, left},
		"one that does not know of two": {ack(admin.WitnessDrained, admin.WitnessUnknown), true, ""},
	} {
		p := presence{}.with(c.d)
		if got := strings.Join(p.who, "; "); p.known != c.known || got != c.who {
			t.Errorf("%s: known %v, still there %q", name, p.known, got)
		}
	}
	both := presence{known: true, who: []string{"10.0.0.9 web/app1: 2 sessions"}}.and(presence{known: true, who: []string{left}})
	if !both.known || len(both.who) != 2 {
		t.Errorf("both together: %+v", both)
	}
}

func TestControllersAreAskedAgainUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, asked := time.Now(), 0
		var w witnessed
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go w.run(ctx, func() []string { return []string{"web", "shop"} }, func(_ context.Context, service string) admin.ServiceDrain {
			asked++
			d := admin.ServiceDrain{Service: service, Acks: []admin.Ack{{State: admin.WitnessDraining}}}
			if time.Since(begun) > 5*time.Second {
				d.Acks[0].State = admin.WitnessDrained
			}
			return d
		})
		synctest.Wait()
		if got := w.presence(); len(got.who) != 2 {
			t.Errorf("at first %+v", got)
		}
		time.Sleep(7 * time.Second)
		if got := w.presence(); !got.known || len(got.who) != 0 {
			t.Errorf("at the end %+v", got)
		}
		<-ctx.Done()
		synctest.Wait()
		if asked < 16 || asked > 22 {
			t.Errorf("asked %d times", asked)
		}
	})
}
