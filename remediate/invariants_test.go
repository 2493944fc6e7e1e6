package remediate

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/healthd"
)

// Whatever happens, in whatever order, no step breaks S1, S3, S4 or S5; and once nothing more happens, everything that
// no operator holds is back in service (S14).
func TestNoSequenceOfEventsBreaksAnInvariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		one := func() *modelServer { return rapid.SampledFrom(m.servers).Draw(t, "server") }
		t.Repeat(map[string]func(*rapid.T){
			"tick": func(*rapid.T) { m.tick() },
			"time passes": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 60_000).Draw(t, "ms")) * time.Millisecond)
			},
			"sidecar says": func(t *rapid.T) {
				s := one()
				s.verdict = rapid.SampledFrom([]healthd.Status{healthd.Pass, healthd.Fail, healthd.Warn, healthd.Unknown}).Draw(t, "verdict")
				s.heard = m.now
			},
			"several fail at once": func(t *rapid.T) {
				for _, s := range m.servers[:rapid.IntRange(1, len(m.servers)).Draw(t, "how many")] {
					s.verdict, s.heard = healthd.Fail, m.now
				}
			},
			"own check flips":    func(*rapid.T) { s := one(); s.ownCheck = !s.ownCheck },
			"reload":             func(*rapid.T) { m.reload(rapid.Bool().Draw(m.t, "with a state file")) },
			"restart of lbmedic": func(*rapid.T) { m.restart() },
			"operator orders": func(t *rapid.T) {
				s := one()
				want := rapid.SampledFrom([]Verb{Drain, Maint}).Draw(t, "want")
				if Admit(m.view(), s.name, want, rapid.Bool().Draw(t, "force")) == nil {
					m.journal(KindOrder, OrderRecord{m.target(s), Order{Want: want, By: "op", At: m.now, Until: m.now.Add(time.Hour)}})
				}
			},
			"operator orders ready": func(*rapid.T) {
				s := one()
				if _, pending := m.ledger.Pending[m.target(s)]; pending {
					return
				}
				a := Action{Verb: Ready, Target: m.target(s), Reason: OperatorOrder}
				seq := m.journal(KindIntent, IntentRecord{Action: a, Generation: m.generation()})
				s.apply(a)
				m.journal(KindOutcome, OutcomeRecord{Intent: seq, Target: a.Target, Verb: Ready, Result: Done})
			},
			"somebody at the socket": func(t *rapid.T) {
				one().byHand(rapid.SampledFrom([]Verb{Drain, Maint, Ready}).Draw(t, "verb"))
			},
			"a late command runs": func(*rapid.T) {
				for _, l := range m.late {
					l.run()
				}
				m.late = nil
			},
			"freeze": func(*rapid.T) { m.journal(KindFreeze, Freeze{By: "op", At: m.now}) },
			"thaw":   func(*rapid.T) { m.journal(KindThaw, Freeze{By: "op", At: m.now}) },
		})
		m.quiet()
	})
}

// reload loses what was set at run time, but for what a state file brings over.
func (m *model) reload(stateFile bool) {
	m.pid++
	m.started = m.now.Add(time.Duration(m.pid) * time.Minute) // never the same as before
	m.late = nil
	for _, s := range m.servers {
		s.lifted = false
		s.checkOff = s.checkOff && stateFile
		if !stateFile {
			s.weight, s.admin, s.foreign = modelWeight, 0, 0
		}
	}
}

// restart forgets everything but the journal.
func (m *model) restart() {
	m.ledger = NewLedger()
	for _, r := range m.log {
		if err := m.ledger.Fold(r.seq, r.at, r.kind, r.body); err != nil {
			m.t.Fatal(err)
		}
	}
}

// quiet lets everything heal and time pass, and expects every server that nobody holds to serve.
func (m *model) quiet() {
	m.late = nil
	if m.ledger.Frozen != nil {
		m.journal(KindThaw, Freeze{By: "op"})
	}
	for range 40 {
		m.now = m.now.Add(30 * time.Second)
		for _, s := range m.servers {
			s.ownCheck, s.verdict, s.heard = true, healthd.Pass, m.now
		}
		m.tick()
	}
	for _, s := range m.servers {
		if _, ordered := m.ledger.Orders[m.target(s)]; !ordered && s.foreign == 0 && !s.serving() {
			m.t.Errorf("S14: %s never came back: %+v, take %+v", s.name, s, m.ledger.Takes[m.target(s)])
		}
	}
	if len(m.ledger.Takes) > 0 {
		m.t.Errorf("S14: takes are still open: %+v", m.ledger.Takes)
	}
}
