package serve

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
)

// still is a source whose snapshot the test sets.
type still struct{ s *healthd.Snapshot }

func (s *still) Latest() *healthd.Snapshot { return s.s }
func (s *still) Wait(context.Context, uint64) (*healthd.Snapshot, error) {
	return s.s, nil
}

// set makes the one service web anew.
func (s *still) set(v healthd.Service) {
	v.Name = "web"
	s.s = &healthd.Snapshot{Services: []healthd.Service{v}}
}

// debts are Orders that keep a ledger in memory.
type debts struct {
	source *still
	ledger healthd.Ledger
}

func (d *debts) Say(_ string, b netip.Addr, row string) (word healthd.AdminState, ok bool, err error) {
	word, ok, d.ledger, _ = d.ledger.Say(healthd.KeyOf(b.String(), row), d.source.s.Services[0].Admin.State, time.Now())
	return word, ok, nil
}

func (d *debts) Heard(_ string, b netip.Addr, row string) error {
	d.ledger, _ = d.ledger.Heard(healthd.KeyOf(b.String(), row), time.Now())
	return nil
}

func (d *debts) Offer(_ string, b netip.Addr, row string) (offered bool) {
	d.ledger, offered = d.ledger.Offer(healthd.KeyOf(b.String(), row), time.Now())
	return offered
}

// speaker is an agent and what its tests turn.
type speaker struct {
	t      *testing.T
	source *still
	views  *Views
	dir    string
	agent  *Agent
}

func newSpeaker(t *testing.T, drain DrainWord, slow time.Duration) *speaker {
	s := &speaker{t: t, source: &still{}, views: believing(), dir: t.TempDir()}
	s.source.set(healthd.Service{Status: healthd.Pass, Weight: 100})
	s.restart(drain, slow)
	return s
}

// restart forgets what is not on disk, the debts of ready excepted.
func (s *speaker) restart(drain DrainWord, slow time.Duration) {
	s.t.Helper()
	weights, err := probe.NewWeights(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	s.agent = NewAgent(AgentSettings{Source: s.source, Orders: &debts{source: s.source}, Weights: weights, Views: s.views, Drain: drain, SlowStart: slow})
}

// says is one answer, which the balancer takes.
func (s *speaker) says(want string) {
	s.t.Helper()
	line, err := s.agent.line(asker{lb, "web", "", true}, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	if line.String() != want+"\n" {
		s.t.Errorf("after %s: says %q, want %q", time.Since(start2000()), line.String(), want)
	}
	if err := s.agent.heard(asker{lb, "web", "", true}, line); err != nil {
		s.t.Error(err)
	}
}

// start2000 is when a bubble's clock starts.
func start2000() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

func (s *speaker) slow(weight int) {
	s.source.set(healthd.Service{Status: healthd.Warn, Weight: weight})
}

func (s *speaker) order(state healthd.AdminState) {
	s.source.set(healthd.Service{Status: healthd.Pass, Weight: 100, Admin: healthd.Admin{State: state, Since: time.Now()}})
}

func (s *speaker) shown(weight int) { s.views.Hear(lb, "web", state("web/w1", weight), time.Now()) }

func TestASlowServiceIsWorthLessWhereThatIsAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, DrainByState, 0)
		s.says("up")
		s.slow(50)
		s.says("up") // its initial weight is not known
		s.shown(1)
		s.says("up") // half of 1 is out of service
		s.shown(100)
		s.says("up 50%")
		s.slow(3)
		s.says("up 10%") // never nothing
		s.slow(100)
		s.says("up 100%")
		time.Sleep(healthd.ReturnFor - time.Nanosecond)
		s.says("up 100%")
		s.says("up 100%")
		time.Sleep(healthd.MostOwed)
		s.says("up") // now the weight is an operator's
		time.Sleep(time.Hour)
		s.says("up")
		s.slow(0) // nothing to say
		s.says("up")
	})
}

func TestTheWeightIsGivenBackAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, DrainByState, 0)
		s.shown(100)
		s.slow(50)
		s.says("up 50%")
		s.slow(100)
		s.restart(DrainByState, 0)
		s.says("up 100%")
		time.Sleep(healthd.ReturnFor)
		s.restart(DrainByState, 0)
		s.says("up 100%") // three times at least
		s.says("up 100%")
		s.says("up")
		s.restart(DrainByState, 0)
		s.says("up")
	})
}

func TestAFailingServiceKeepsItsDebts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, DrainByWeight, 0)
		s.shown(100)
		s.order(healthd.Drain)
		s.says("up 0%")
		s.source.set(healthd.Service{Status: healthd.Fail, Admin: healthd.Admin{State: healthd.Drain}})
		s.says("0% down #not measured since it failed")
		s.source.set(healthd.Service{Status: healthd.Fail})
		s.says("100% down #not measured since it failed")
	})
}

func TestADrainByWeightNeverTouchesTheAdminState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, DrainByWeight, 0)
		s.order(healthd.Drain)
		s.says("up 0%") // whatever the initial weight is
		s.says("up 0%")
		s.order(healthd.Maint)
		s.says("maint")
		s.order(healthd.Ready)
		s.says("ready up 100%")
		time.Sleep(healthd.MostOwed)
		s.says("ready up 100%")
		s.says("ready up 100%")
		s.says("up")
	})
}

func TestSlowStartIsInStepsWhereTheyArePossible(t *testing.T) {
	for word, drained := range map[DrainWord]string{DrainByState: "drain", DrainByWeight: "up 0%"} {
		t.Run(string(word), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ready := map[DrainWord]string{DrainByState: "ready "}[word]
				s := newSpeaker(t, word, 30*time.Second)
				s.shown(100)
				s.order(healthd.Drain)
				s.says(drained)
				s.order(healthd.Ready)
				s.says(ready + "up 25%")
				s.says(ready + "up 25%")
				s.says(ready + "up 25%")
				time.Sleep(10 * time.Second)
				s.says(ready + "up 50%") // asks that far apart are owed for longer
				s.restart(word, 30*time.Second)
				s.says("up 50%")
				time.Sleep(10 * time.Second)
				s.says("up 75%")
				time.Sleep(10 * time.Second)
				s.says("up 100%")
				time.Sleep(healthd.MostOwed)
				s.says("up 100%")
				s.says("up 100%")
				s.says("up")
			})
		})
	}
}

func TestWithoutStepsASlowStartIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, DrainByWeight, 30*time.Second)
		s.shown(1)
		s.order(healthd.Drain)
		s.says("up 0%")
		s.shown(0)
		s.order(healthd.Ready)
		s.says("up 100%")
	})
}

// One that never heard of the drain, as a balancer that was just added, is at its weight and stays there.
func TestWhoHeardOfNoDrainIsNotSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, DrainByState, 30*time.Second)
		s.shown(100)
		s.order(healthd.Ready)
		s.says("up")
	})
}

// Silence changes nothing in HAProxy; a weight that could not be given back is not said.
func TestAWeightThatCannotBeKeptIsNotSaid(t *testing.T) {
	s := newSpeaker(t, DrainByState, 0)
	s.shown(100)
	s.slow(50)
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	line, err := s.agent.line(asker{lb, "web", "", true}, time.Now())
	if err == nil || line.health != "" || !strings.Contains(err.Error(), "tell 10.0.0.2 a weight of web") {
		t.Errorf("%+v, %v", line, err)
	}
}
