package serve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// subject is what a page is about.
type subject struct {
	service string // empty: the whole instance
	status  healthd.Status
	stale   bool
	admin   healthd.Admin
	parts   []*healthd.Service

	excluded, unmatched []string // what a caller of /readyz left out, and what it wanted to
}

func about(s *healthd.Service) subject {
	return subject{service: s.Name, status: s.Status, stale: s.Stale, admin: s.Admin, parts: []*healthd.Service{s}}
}

// summary is about the whole instance: the gravest of the services that nobody has taken out on purpose, and out itself only when all are.
func summary(s *healthd.Snapshot) subject {
	r := subject{status: healthd.Pass}
	var in []*healthd.Service
	for i := range s.Services {
		svc := &s.Services[i]
		r.parts = append(r.parts, svc)
		if svc.Admin.State == healthd.Ready {
			in = append(in, svc)
		}
	}
	if len(in) == 0 && len(r.parts) > 0 {
		in, r.admin = r.parts, r.parts[0].Admin
	}
	for _, svc := range in {
		r.status = healthd.Worse(r.status, svc.Status)
		r.stale = r.stale || svc.Stale
	}
	return r
}

func (r subject) condition() Condition { return conditionOf(r.status, r.admin.State) }

// state names what a status code cannot say, for the machines that know us.
func (r subject) state() []string {
	var words []string
	if r.status == healthd.Unknown {
		words = append(words, "starting")
	}
	if r.stale {
		words = append(words, "stale")
	}
	if r.admin.State != healthd.Ready {
		words = append(words, r.admin.State.String())
		if r.status == healthd.Pass || r.status == healthd.Warn {
			words = append(words, r.status.String()) // the health apart from the order
		}
	}
	if words == nil {
		return nil
	}
	return []string{strings.Join(words, ", ")}
}

// prefix goes before the names of a service's checks, which are its own only on its own page.
func (r subject) prefix(svc *healthd.Service) string {
	if r.service != "" {
		return ""
	}
	return svc.Name + "/"
}

// notes are for people: what a status does not say. The names of failing shared dependencies are all that a stranger reads.
func (r subject) notes(a audience, most int) []string {
	var notes []string
	if a != stranger {
		switch r.admin.State {
		case healthd.Drain:
			notes = append(notes, reasoned("drain", r.admin.Reason))
		case healthd.Maint:
			notes = append(notes, reasoned("maintenance", r.admin.Reason))
		}
		if r.status == healthd.Unknown {
			notes = append(notes, "starting: the first round of checks is not over")
		}
		if r.stale {
			notes = append(notes, "stale: "+r.measured())
		}
	}
	for _, svc := range r.parts {
		if a != stranger && Weight(svc) < 100 && svc.Status != healthd.Unknown {
			notes = append(notes, fmt.Sprintf("weight: %s is fit for %d%% of its share", svc.Name, Weight(svc)))
		}
		if a != stranger {
			notes = append(notes, r.damped(svc)...)
		}
		for _, name := range failingShared(svc) {
			note := "shared dependency failing: "
			switch {
			case a == stranger:
				note += name
			case slices.Contains(svc.Suspect, name):
				note += r.prefix(svc) + name + " (not held against this instance)"
			default:
				note += r.prefix(svc) + name
			}
			if !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	if left := len(notes) - most; left > 0 {
		notes = append(notes[:most], fmt.Sprintf("and %d more notes", left))
	}
	for i, n := range notes {
		notes[i] = healthd.Line(n, maxNote)
	}
	return notes
}

// damped says until when the verdicts on flapping checks are held.
func (r subject) damped(svc *healthd.Service) (notes []string) {
	for i := range svc.Checks {
		if c := &svc.Checks[i]; Damped(c) {
			notes = append(notes, "damped: "+r.prefix(svc)+c.Name+" flaps; its verdict is held until "+clock(c.Verdict.Flap.Until)+" at most")
		}
	}
	return notes
}

// maxNote bounds one note, in bytes: a reason was typed by a person.
const maxNote = 300

func reasoned(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// measured says when what the status rests on was last measured. It is a moment, not an age, for the text is kept while time goes on.
func (r subject) measured() string {
	var oldest time.Time
	for _, svc := range r.parts {
		for i := range svc.Checks {
			c := &svc.Checks[i]
			at := c.Verdict.Measured
			if c.Stale && !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
				oldest = at
			}
		}
	}
	if oldest.IsZero() {
		return "not measured lately"
	}
	return "not measured since " + clock(oldest)
}

// failingShared are the dependencies shared with siblings that fail, whether that is held against this instance or not.
func failingShared(svc *healthd.Service) []string {
	var names []string
	for i := range svc.Checks {
		c := &svc.Checks[i]
		if c.Shared && c.Verdict.Status == healthd.Fail || slices.Contains(svc.Suspect, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// blames say which check each service's status rests on, and what it met.
func (r subject) blames(most int) string {
	var outputs []string
	for _, svc := range r.parts {
		if blame := svc.Blame(); blame != nil && len(outputs) < most {
			outputs = append(outputs, r.prefix(svc)+blame.Name+": "+blame.Verdict.Last.Detail)
		}
	}
	return strings.Join(outputs, "; ")
}

// item is one check on a page.
type item struct {
	name    string // as the page calls it
	service *healthd.Service
	check   *healthd.Check
}

// items are the checks that an audience sees, at most so many, and how many were left off: all of them, only those that are not
// simply well with the gravest first, or the failing shared ones.
func (r subject) items(a audience, most int) (items []item, left int) {
	for _, svc := range r.parts {
		if a == stranger {
			items = strangersItems(items, svc)
			continue
		}
		for i := range svc.Checks {
			if c := &svc.Checks[i]; a == insider || remarkable(c) {
				items = append(items, item{r.prefix(svc) + c.Name, svc, c})
			}
		}
	}
	if a == hurried {
		slices.SortStableFunc(items, func(x, y item) int { return int(y.check.Verdict.Status) - int(x.check.Verdict.Status) })
	}
	if left = len(items) - most; left > 0 {
		return items[:most], left
	}
	return items, 0
}

// strangersItems adds a service's failing shared dependencies, each name once: whose they are is not told.
func strangersItems(items []item, svc *healthd.Service) []item {
	for _, name := range failingShared(svc) {
		c, ok := svc.Check(name)
		if ok && !slices.ContainsFunc(items, func(i item) bool { return i.name == name }) {
			items = append(items, item{name, svc, c})
		}
	}
	return items
}

func remarkable(c *healthd.Check) bool {
	return c.Verdict.Status != healthd.Pass || c.Stale || Damped(c)
}

// hops says how many lbmedics stand one behind another in what this subject rests on, nil for none, so that one which asks us, and whom we ask, stops
// somewhere. A check of kind lbmedic measures it.
func (r subject) hops() []string {
	most := 0
	for _, svc := range r.parts {
		for i := range svc.Checks {
			if last := &svc.Checks[i].Verdict.Last; last.Unit == "hops" {
				most = max(most, int(last.Value))
			}
		}
	}
	if most == 0 {
		return nil
	}
	return []string{strconv.Itoa(most)}
}
