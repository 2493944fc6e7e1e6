package daemon

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate/control"
)

func TestTheJournalHearsWhatBecomesOfServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		n := &news{log: zap.NewNop(), saw: func(all ...control.Sighting) {
			for _, s := range all {
				told = append(told, s.What+" "+s.Target+": "+s.Detail)
			}
		}}
		service := func(s healthd.Status, suspect ...string) *healthd.Service {
			o := healthd.NewOutcome(time.Now(), 0, healthd.Refused, "connection refused")
			return &healthd.Service{Name: "web", Status: s, Suspect: suspect,
				Checks: []healthd.Check{{Name: "app", Verdict: healthd.Verdict{Status: s, Last: o}}}}
		}
		n.tell(service(healthd.Pass), &healthd.Service{})
		n.tell(service(healthd.Fail), service(healthd.Pass))
		n.tell(service(healthd.Fail), service(healthd.Fail))
		n.tell(service(healthd.Pass, "db"), service(healthd.Fail))
		n.tell(service(healthd.Pass), service(healthd.Pass, "db"))
		want := []string{"service web: pass to fail: app: connection refused", "service web: fail to pass",
			"suspect web: db fails, and the service stays: it fails elsewhere too, or nobody can say"}
		if !slices.Equal(told, want) {
			t.Fatalf("told:\n%s", strings.Join(told, "\n"))
		}
		for range 1000 {
			n.tell(service(healthd.Fail), service(healthd.Pass))
		}
		if len(told) != roomFor || !strings.Contains(told[roomFor-1], "is in the log only") {
			t.Errorf("a service that flaps is told %d times, at last: %s", len(told), told[len(told)-1])
		}
		time.Sleep(roomIn)
		n.tell(service(healthd.Fail), service(healthd.Pass))
		if len(told) != roomFor+1 {
			t.Errorf("later it is told %d times", len(told))
		}
	})
}
