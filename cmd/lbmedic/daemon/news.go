package daemon

import (
	"context"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
)

// news tells the log what becomes of the services of this host: each change of a status, of an order, and of what is suspected.
type news struct {
	board *probe.Board
	log   *zap.Logger
}

func (n news) run(ctx context.Context) error {
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

func (n news) tell(now, before *healthd.Service) {
	log := n.log.With(zap.String("service", now.Name), zap.Stringer("status", now.Status))
	if now.Status != before.Status && now.Status != healthd.Unknown {
		say := log.Info
		switch now.Status {
		case healthd.Fail:
			say = log.Error
		case healthd.Warn:
			say = log.Warn
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
		log.Error("SUSPECT: a shared dependency fails and this host is not taken out for it, for it fails elsewhere too or nobody can say",
			zap.Strings("checks", now.Suspect), zap.String("because", because(now)))
	} else {
		log.Info("no shared dependency is suspected any more", zap.String("was", strings.Join(before.Suspect, ", ")))
	}
}

func because(s *healthd.Service) string {
	if c := s.Blame(); c != nil {
		return c.Name + ": " + c.Verdict.Last.Detail
	}
	return ""
}
