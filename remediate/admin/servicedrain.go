package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// ServiceDrain is one line of GET /v1/drains/SERVICE?timeout=5m: how far the drain of a local service is. The last line has End.
type ServiceDrain struct {
	Service string   `json:"service"`
	Acks    []Ack    `json:"acks,omitempty"` // of each controller
	Detail  string   `json:"detail,omitempty"`
	End     DrainEnd `json:"end,omitempty"`
}

// EndUnconfirmed is the end of a wait without a controller: the time is over, and nobody knows whether requests are left.
const EndUnconfirmed DrainEnd = "unconfirmed"

// Times of a wait for a local service.
const (
	servicePoll      = 500 * time.Millisecond
	defaultDrainWait = 30 * time.Second
)

// Confirmed reports whether every controller says that it is drained or that none of its balancers has the server, and one at least the former.
func (d ServiceDrain) Confirmed() bool {
	drained := 0
	for _, a := range d.Acks {
		switch a.State {
		case WitnessDrained:
			drained++
		case WitnessAbsent:
		default:
			return false
		}
	}
	return drained > 0
}

func (s *Server) drainService(r *http.Request, out *lines) error {
	wait, err := waitOf(r)
	if err != nil {
		return err
	}
	t, err := ParseTarget(r.PathValue("service"))
	if err != nil || t.Service == "" {
		return problemf(http.StatusBadRequest, BadName, "%q is no name of a local health service", healthd.Line(r.PathValue("service"), 80))
	}
	if _, err := s.service(t.Service); err != nil {
		return err
	}
	witnesses, blind := s.witnesses()
	if witnesses == nil {
		return s.waitBlindly(r, out, t.Service, min(cmp.Or(blind, defaultDrainWait), wait))
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	again := time.NewTicker(servicePoll)
	defer again.Stop()
	out.begin()
	var last ServiceDrain
	for {
		svc, err := s.service(t.Service)
		if err != nil || svc.Admin.State == healthd.Ready {
			last.Service, last.End = t.Service, EndLifted
			return out.send(last)
		}
		at := whereabouts{name: svc.Name, address: svc.Address, host: hostAddresses(), views: s.Views.All()}
		now := ServiceDrain{Service: t.Service, Acks: witnesses.ask(r.Context(), at.at)}
		switch {
		case r.Context().Err() != nil: // answered below, by its cause
		case now.Confirmed():
			now.End = EndDrained
			return out.send(now)
		case !slices.EqualFunc(now.Acks, last.Acks, sameAck):
			if err := out.send(now); err != nil {
				return err
			}
			last = now
		}
		select {
		case <-r.Context().Done():
			return s.stoppedWaiting(r, out, last)
		case <-end.C:
			last.End = EndTimeout
			return out.send(last)
		case <-again.C:
		}
	}
}

// waitBlindly waits, and knows nothing more after it.
func (s *Server) waitBlindly(r *http.Request, out *lines, service string, blind time.Duration) error {
	line := ServiceDrain{Service: service, Detail: fmt.Sprintf("UNCONFIRMED: there is no controller to ask (health.controllers), so it only waits for %s", blind)}
	if err := out.send(line); err != nil {
		return err
	}
	end := time.NewTimer(blind)
	defer end.Stop()
	tick := time.NewTicker(liftedPoll)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return s.stoppedWaiting(r, out, line)
		case <-end.C:
			line.Detail = fmt.Sprintf("UNCONFIRMED after %s: there is no controller to ask (health.controllers), so whether requests are left is not known", blind)
			line.End = EndUnconfirmed
			return out.send(line)
		case <-tick.C:
		}
		if svc, err := s.service(service); err != nil || svc.Admin.State == healthd.Ready {
			line.Detail, line.End = "", EndLifted
			return out.send(line)
		}
	}
}

func sameAck(a, b Ack) bool {
	return a.Controller == b.Controller && a.State == b.State && a.Detail == b.Detail && slices.Equal(a.Servers, b.Servers)
}
