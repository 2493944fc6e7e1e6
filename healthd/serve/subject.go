package serve

import (
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// condition is what decides about the status code.
type condition uint8

const (
	passing condition = iota
	warning
	failing
	starting // nothing is known yet
	out      // drained or in maintenance, and not failing
)

// subject is what a page is about.
type subject struct {
	service string
	status  healthd.Status
	stale   bool
	admin   healthd.Admin
	parts   []*healthd.Service
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

func (r subject) condition() condition {
	switch {
	case r.status == healthd.Unknown:
		return starting
	case r.status == healthd.Fail:
		return failing
	case r.admin.State != healthd.Ready:
		return out
	case r.status == healthd.Warn:
		return warning
	}
	return passing
}

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

func (r subject) notes() []string {
	var notes []string
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
		notes = append(notes, "stale: not measured lately")
	}
	return notes
}

func reasoned(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}
