package remediate

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/healthd"
)

// model is a balancer, its servers, their sidecars, operators and a journal, as simple as the real ones allow. It keeps
// its own account of who set what, so that the properties are judged by something else than the code under test.
type model struct {
	t       *rapid.T
	now     time.Time
	servers []*modelServer
	pid     int
	started time.Time
	policy  Policy
	ledger  *Ledger
	log     []modelRecord
	seq     uint64
	late    []modelLate // commands that timed out and may still run
	api     []string    // a follower backend: whom each of its rows tracks, by name; empty tracks nobody
	last    []int       // a follower of the follower: which row of api each tracks; -1 tracks nobody
}

type modelServer struct {
	name     string
	addr     string
	backup   bool
	checked  bool
	ownCheck bool // what the balancer's own check sees
	checkOff bool // forced health is on
	lifted   bool // forced health was lifted by a foreign ready; the check is still off
	weight   int
	admin    Admin
	foreign  Admin // the admin bits that somebody set on the socket
	verdict  healthd.Status
	heard    time.Time
}

type modelLate struct {
	target Target
	run    func()
}

type modelRecord struct {
	seq  uint64
	at   time.Time
	kind string
	body json.RawMessage
}

const modelWeight = 10

func newModel(t *rapid.T) *model {
	m := &model{t: t, now: time.Unix(1_700_000_000, 0), pid: 100, policy: DefaultPolicy(), ledger: NewLedger()}
	m.started = m.now
	m.policy.Mode = Enforce
	m.policy.MinPercent = rapid.SampledFrom([]int{0, 34, 50, 80}).Draw(t, "min percent")
	m.policy.MaxEjectedPercent = rapid.SampledFrom([]int{10, 50, 100}).Draw(t, "max ejected percent")
	m.policy.TakesPerWindow = rapid.IntRange(1, 4).Draw(t, "takes per window")
	for i := range rapid.IntRange(1, 8).Draw(t, "servers") {
		addr := fmt.Sprintf("a%d", i)
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "shares an address") == 0 {
			addr = m.servers[i-1].addr
		}
		m.servers = append(m.servers, &modelServer{name: fmt.Sprintf("s%d", i), addr: addr, backup: i > 0 && rapid.IntRange(0, 5).Draw(t, "backup") == 0,
			checked: rapid.IntRange(0, 4).Draw(t, "checked") > 0, ownCheck: true, weight: modelWeight, verdict: healthd.Pass, heard: m.now})
	}
	for range rapid.IntRange(0, 4).Draw(t, "followers") {
		m.api = append(m.api, rapid.SampledFrom([]string{"", "s0", "s1", "s2"}).Draw(t, "tracks"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "followers of followers") {
		m.last = append(m.last, rapid.IntRange(-1, len(m.api)-1).Draw(t, "tracks row"))
	}
	return m
}

func (m *model) target(s *modelServer) Target { return Target{"b", "web", s.name} }

func (s *modelServer) serving() bool {
	return s.admin&OutOfService == 0 && s.weight > 0 && (!s.checked || s.ownCheck && (!s.checkOff || s.lifted))
}

// row is the server as `show servers state` would report it.
func (m *model) row(s *modelServer) Server {
	r := Server{Name: s.name, Address: s.addr, Admin: s.admin, Oper: OperUp, Weight: s.weight, InitialWeight: modelWeight,
		Backup: s.backup, Checked: s.checked, CheckOff: s.checkOff,
		Evidence: Evidence{Status: s.verdict, At: s.heard}}
	if s.checked && (!s.ownCheck || s.checkOff && !s.lifted) {
		r.Oper = OperDown
	}
	return r
}

func (m *model) generation() Generation { return Generation{PID: m.pid, Started: m.started} }

func (m *model) view() View {
	v := View{Now: m.now, Balancer: "b", Policy: m.policy, Frozen: m.ledger.Frozen.String(), Observed: m.now, Generation: m.generation(),
		Backend: Backend{Name: "web"}}
	for _, s := range m.servers {
		row := m.row(s)
		m.ledger.Annotate(m.target(s), &row)
		v.Backend.Servers = append(v.Backend.Servers, row)
	}
	api, last := Backend{Name: "api"}, Backend{Name: "last"}
	for i, tracked := range m.api {
		row := Server{Name: fmt.Sprintf("x%d", i), Oper: OperUp, Weight: 1, InitialWeight: 1, Checked: true}
		if tracked != "" {
			row.Tracks = "web/" + tracked
		}
		if !m.apiServes(i, nil) {
			row.Oper = OperDown
		}
		api.Servers = append(api.Servers, row)
	}
	for i, tracked := range m.last {
		row := Server{Name: fmt.Sprintf("y%d", i), Oper: OperUp, Weight: 1, InitialWeight: 1, Checked: true}
		if tracked >= 0 {
			row.Tracks = fmt.Sprintf("api/x%d", tracked)
			if !m.apiServes(tracked, nil) {
				row.Oper = OperDown
			}
		}
		last.Servers = append(last.Servers, row)
	}
	v.Followers = []Backend{last, api}
	return v
}

// apiServes reports whether a row of the follower serves, with one server of ours thought away. Trackers follow health and
// admin state, not weight.
func (m *model) apiServes(i int, without *modelServer) bool {
	for _, s := range m.servers {
		if s.name == m.api[i] {
			return s != without && s.admin&OutOfService == 0 && (!s.checked || s.ownCheck && (!s.checkOff || s.lifted))
		}
	}
	return true
}

func (m *model) journal(kind string, body any) uint64 {
	raw, err := json.Marshal(body)
	if err != nil {
		m.t.Fatal(err)
	}
	m.seq++
	m.log = append(m.log, modelRecord{m.seq, m.now, kind, raw})
	if err := m.ledger.Fold(m.seq, m.now, kind, raw); err != nil {
		m.t.Fatal(err)
	}
	return m.seq
}

// apply does to a server what the real balancer does.
func (s *modelServer) apply(a Action) {
	switch a.Verb {
	case ForceDown:
		s.checkOff, s.lifted = true, false
	case EnableHealth:
		s.checkOff, s.lifted = false, false
	case ZeroWeight:
		s.weight = 0
	case RestoreWeight:
		s.weight = a.Weight
	case Drain:
		s.admin, s.foreign = s.admin&^ForcedMaint|ForcedDrain, 0
	case Maint:
		s.admin, s.foreign = s.admin&^ForcedDrain|ForcedMaint, 0
	case Ready:
		s.admin, s.foreign = 0, 0
		s.lifted = s.checkOff
	}
}

// byHand is an operator at the runtime socket, of whom nothing is told to lbmedic.
func (s *modelServer) byHand(verb Verb) {
	s.apply(Action{Verb: verb})
	s.foreign = s.admin
}

// tick is one round of the loop: read back, decide, journal, act.
func (m *model) tick() {
	for t, p := range m.ledger.Pending {
		if rapid.IntRange(0, 3).Draw(m.t, "read back") == 0 {
			continue // not this time
		}
		m.late = slices.DeleteFunc(m.late, func(l modelLate) bool { return l.target == t }) // it has run or never will
		if done, ok := ReadBack(p.Action.Verb, m.row(m.find(t))); ok {
			m.journal(KindOutcome, OutcomeRecord{Intent: m.ledger.PendingAt[t], Target: t, Verb: p.Action.Verb, Result: map[bool]Result{true: Done, false: Missed}[done]})
		}
	}
	v := m.view()
	plan := Decide(v)
	if again := Decide(v).String(); again != plan.String() {
		m.t.Fatalf("the same view gave two plans:\n%s\n%s", plan, again)
	}
	for _, f := range plan.Fact {
		m.journal(KindFact, FactRecord{Fact: f, Generation: m.generation()})
	}
	for _, a := range plan.Take {
		s := m.find(a.Target)
		m.judge(v, a, s)
		seq := m.journal(KindIntent, IntentRecord{Action: a, Generation: m.generation()})
		switch rapid.IntRange(0, 9).Draw(m.t, "fate of the command") {
		case 0: // lost before it was sent, or killed in between
			return
		case 1: // it timed out and runs later
			m.late = append(m.late, modelLate{a.Target, func() { s.apply(a) }})
			continue
		}
		s.apply(a)
		m.journal(KindOutcome, OutcomeRecord{Intent: seq, Target: a.Target, Verb: a.Verb, Result: Done})
	}
}

func (m *model) find(t Target) *modelServer {
	for _, s := range m.servers {
		if s.name == t.Server {
			return s
		}
	}
	m.t.Fatalf("no server %s", t)
	return nil
}

// judge holds one step against the invariants, by the model's own account.
func (m *model) judge(v View, a Action, s *modelServer) {
	if _, pending := m.ledger.Pending[a.Target]; pending {
		m.t.Fatalf("S9: %s although the outcome of an earlier command is not known", a)
	}
	order, ordered := m.ledger.Orders[a.Target]
	switch a.Verb {
	case Drain, Maint, Ready:
		if !ordered {
			m.t.Fatalf("S4: %s without an order", a)
		}
		if a.Verb != Ready && a.Verb != order.Want {
			m.t.Fatalf("S4: %s against the order %s", a, order.Want)
		}
		if a.Verb == order.Want && order.Applied && order.Generation.Same(m.generation()) {
			m.t.Fatalf("S4: %s again, although somebody lifted it since", a)
		}
		if a.Verb == Drain && s.foreign&ForcedMaint != 0 {
			m.t.Fatalf("S4: %s ends a foreign maintenance", a)
		}
		return
	case EnableHealth, RestoreWeight:
		if _, own := m.ledger.Takes[a.Target]; !own {
			m.t.Fatalf("S3: %s without an open take", a)
		}
		if a.Verb == EnableHealth && !s.checkOff || a.Verb == RestoreWeight && s.weight != 0 {
			m.t.Fatalf("S3: %s although the server is not as we left it", a)
		}
	}
	if m.ledger.Frozen != nil || m.policy.Mode != Enforce {
		m.t.Fatalf("automation acts although it is stopped: %s", a)
	}
	if !a.Verb.Destructive() {
		return
	}
	if ordered || s.admin != 0 {
		m.t.Fatalf("S4: %s on a server that an operator holds (%s)", a, s.admin)
	}
	if s.verdict != healthd.Fail || m.now.Sub(s.heard) > m.policy.EvidenceMaxAge {
		m.t.Fatalf("S5: %s on a word of %s that says %s", a, m.now.Sub(s.heard), s.verdict)
	}
	m.judgeCapacity(a, s)
}

// judgeCapacity is S1, counted afresh: instances by address here, rows in the followers.
func (m *model) judgeCapacity(a Action, s *modelServer) {
	type instance struct{ before, after, ejected bool }
	instances := map[string]*instance{}
	ours := false // automation has a row of this instance out already
	for _, o := range m.servers {
		if o.backup != s.backup {
			continue
		}
		in := instances[o.addr]
		if in == nil {
			in = &instance{}
			instances[o.addr] = in
		}
		_, taken := m.ledger.Takes[m.target(o)]
		p, pending := m.ledger.Pending[m.target(o)]
		order, ordered := m.ledger.Orders[m.target(o)]
		serves := o.serving() && (!ordered || order.Expired(m.now)) && !(pending && p.Action.Verb.Destructive())
		in.before = in.before || serves
		in.after = in.after || serves && o != s
		in.ejected = in.ejected || taken
		ours = ours || taken && o.addr == s.addr
	}
	serving, after, ejected := 0, 0, 0
	for _, in := range instances {
		if in.before {
			serving++
		}
		if in.after {
			after++
		}
		if in.ejected {
			ejected++
		}
	}
	m.judgeFloor(a, "web", len(instances), serving, after)
	if limit := max(1, len(instances)*m.policy.MaxEjectedPercent/100); !ours && ejected+1 > limit {
		m.t.Fatalf("S1: %s is number %d out by automation of at most %d", a, ejected+1, limit)
	}
	if a.Verb == ForceDown || a.Verb == ZeroWeight { // weight is counted as if it were followed: rather too careful than not enough
		m.judgeFollowers(a, s)
	}
}

func (m *model) judgeFollowers(a Action, s *modelServer) {
	var before, after [2]int
	for i := range m.api {
		before[0] += count1(m.apiServes(i, nil))
		after[0] += count1(m.apiServes(i, s))
	}
	for _, i := range m.last {
		before[1] += count1(i < 0 || m.apiServes(i, nil))
		after[1] += count1(i < 0 || m.apiServes(i, s))
	}
	m.judgeFloor(a, "api", len(m.api), before[0], after[0])
	m.judgeFloor(a, "last", len(m.last), before[1], after[1])
}

func count1(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// judgeFloor fails where a step makes a backend smaller than its floor, or smaller still.
func (m *model) judgeFloor(a Action, backend string, configured, before, after int) {
	least := 1
	if configured >= 3 {
		least = 2
	}
	for least*100 < configured*m.policy.MinPercent {
		least++
	}
	if after < before && after < least {
		m.t.Fatalf("S1: %s leaves %d of %d serving in %s, floor %d", a, after, configured, backend, least)
	}
}
