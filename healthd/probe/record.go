package probe

import (
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// record is what is held about one check between two editions, and what no edition holds.
type record struct {
	rule       healthd.Rule
	interval   time.Duration
	dependency string // what it shares with siblings; empty: nothing
	same       string
	about      string // what is measured

	verdict healthd.Verdict
	ring    healthd.Ring
	sharing healthd.Sharing
	tried   bool // there was an outcome in this run
	pending bool // the record is newer than the edition
}

func newRecord(c Check) *record {
	r := &record{rule: c.Rule, interval: c.interval(), same: c.Same, about: healthd.Dependency(c.Kind, c.Target)}
	if c.Shared && c.Impact != healthd.Inform {
		r.dependency = r.about
	}
	return r
}

// take takes one outcome. A percentile is made here only where it is judged; else when it is published.
func (r *record) take(o healthd.Outcome) {
	r.tried = true
	r.ring.Add(o)
	var latency healthd.Latency
	if r.rule.Latency.Of != healthd.Each {
		latency = r.ring.Latency()
	}
	r.verdict = r.verdict.Step(r.rule.Latency.Judge(o, latency), r.rule)
}

// consult asks what the siblings said.
func (r *record) consult(service string, e *ear, now time.Time) {
	if r.dependency != "" {
		r.sharing = r.sharing.Step(r.verdict, e.about(service, r.dependency), r.interval, now)
	}
}

// suspect reports whether the check fails, or could not be measured although it was tried, and that is not held against this instance: a resolver that
// is down for all must not keep every service from starting.
func (r *record) suspect() bool {
	status := r.verdict.Status
	return r.dependency != "" && (status == healthd.Fail && !r.sharing.Counts || status == healthd.Unknown && r.tried)
}

// keep takes the history of the same check before a reload.
func (r *record) keep(old *record) {
	r.verdict, r.ring, r.sharing, r.tried = old.verdict, old.ring, old.sharing, old.tried
}

// begin takes what the snapshot that a run begins with says. A check that was there before has what is left of its grace, for a reload starts no app.
func (r *record) begin(c *healthd.Check, before *record, now time.Time) {
	r.verdict = c.Verdict.Begin(r.rule, now)
	if before != nil && before.about == r.about {
		r.verdict.Grace = before.verdict.Grace
	}
	r.sharing = r.sharing.Resume(c.Verdict.Status == healthd.Fail && !c.Suspect, r.interval, now)
}

// visible reports whether more than details differ.
func (r *record) visible(old healthd.Verdict, suspect bool) bool {
	v := &r.verdict
	return v.Status != old.Status || v.Pace.Steps != old.Pace.Steps || v.Flap.Damped != old.Flap.Damped || r.suspect() != suspect
}
