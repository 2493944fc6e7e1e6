package daemon

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// news tells the log, and the journal for `lbmedic events`, what becomes of the services of this host: each change of a status, and of what is
// suspected. Orders are in the journal already.
type news struct {
	board *probe.Board
	log   *zap.Logger
	saw   func(...control.Sighting)
	room  room
}

// room bounds what the journal is told: services that flap must not fill the disk.
type room struct {
	since time.Time
	told  int
}

const (
	roomFor = 20 // in
	roomIn  = 10 * time.Second
)

// has reports whether there is room for one more at a time, and whether it is the last.
func (r *room) has(now time.Time) (ok, last bool) {
	if now.Sub(r.since) >= roomIn {
		*r = room{since: now}
	}
	r.told++
	return r.told <= roomFor, r.told == roomFor
}

func (n *news) run(ctx context.Context) error {
	last := &healthd.Snapshot{}
	for s := n.board.Latest(); ; {
		for i := range s.Services {
			svc := &s.Services[i]
			before, ok := last.Service(svc.Name)
			if !ok {
				before = &healthd.Service{}
			}
			n.tell(svc, before)
		}
		last = s
		var err error
		if s, err = n.board.Wait(ctx, last.Generation); err != nil {
			return nil
		}
	}
}

func (n *news) tell(now, before *healthd.Service) {
	log := n.log.With(zap.String("service", now.Name), zap.Stringer("status", now.Status))
	if now.Status != before.Status && now.Status != healthd.Unknown {
		say := log.Info
		switch now.Status {
		case healthd.Fail:
			say = log.Error
		case healthd.Warn:
			say = log.Warn
		}
		if before.Status != healthd.Unknown || now.Status != healthd.Pass { // a start where all is well is no event
			n.write(now.Name, "service", before.Status.String()+" to "+now.Status.String()+colon(because(now)))
		}
		say("a service has another status", zap.Stringer("before", before.Status), zap.String("because", because(now)))
	}
	if now.Admin.State != before.Admin.State {
		log.Info("a service was ordered", zap.Stringer("order", now.Admin.State), zap.String("by", now.Admin.By), zap.String("reason", now.Admin.Reason))
	}
	if slices.Equal(now.Suspect, before.Suspect) {
		return
	}
	if len(now.Suspect) > 0 {
		n.write(now.Name, "suspect", strings.Join(now.Suspect, ", ")+" fails, and the service stays: it fails elsewhere too, or nobody can say")
		log.Error("SUSPECT: a shared dependency fails and this host is not taken out for it, for it fails elsewhere too or nobody can say",
			zap.Strings("checks", now.Suspect), zap.String("because", because(now)))
	} else {
		log.Info("no shared dependency is suspected any more", zap.String("was", strings.Join(before.Suspect, ", ")))
	}
}

// write puts it into the journal.
func (n *news) write(service, what, detail string) {
	ok, last := n.room.has(time.Now())
	if !ok {
		return
	}
	if last {
		detail += "; more in the next seconds is in the log only"
	}
	n.saw(control.Sighting{Target: service, What: what, Detail: healthd.Line(detail, healthd.MaxDetail)})
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func because(s *healthd.Service) string {
	if c := s.Blame(); c != nil {
		return c.Name + ": " + c.Verdict.Last.Detail
	}
	return ""
}
