package remediate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// consider decides whether the rows of one address are taken out. They move together or not at all, but for those that
// are out already.
func (d *decision) consider(unit []Server) {
	var failing, stale *Server
	var rows []Server // in service, and not ours already
	for i, s := range unit {
		if s.Take != nil || d.planned(s) {
			continue
		}
		switch {
		case d.evidence(s) == healthd.Fail:
			failing = &unit[i]
		case s.Evidence.Status == healthd.Fail && s.InService():
			stale = &unit[i]
		}
		if s.InService() && !tracksOne(s, d.Backend.Name, unit) {
			rows = append(rows, s)
		}
		d.disagree(s)
	}
	switch {
	case failing == nil && stale != nil:
		_, detail := d.refuseEvidence(*stale)
		d.hold(*stale, takeVerb(*stale), HoldEvidenceStale, detail)
		return
	case failing == nil || len(rows) == 0:
		return
	}
	again := d.tally.unit(rows[0]).ejected
	if reason, detail := d.refuse(rows, again); reason != "" {
		for _, s := range rows {
			d.hold(s, takeVerb(s), reason, detail)
		}
		return
	}
	for _, s := range rows {
		d.take(s, takeVerb(s), SidecarFails, failing.Evidence.Detail)
	}
	d.tally.spend(rows, true)
	if !again {
		d.ejected++
		d.Fleet.Takes++
	}
}

// tracksOne reports whether s follows another row of its own address: it goes with that one by itself.
func tracksOne(s Server, backend string, unit []Server) bool {
	return slices.ContainsFunc(unit, func(o Server) bool { return o.Name != s.Name && s.Tracks == backend+"/"+o.Name })
}

// disagree says when a server's sidecar and the balancer see it differently.
func (d *decision) disagree(s Server) {
	if d.evidence(s) != healthd.Pass || !s.Checked || s.Oper != OperDown || s.Admin&OutOfService != 0 || s.returning(d.Now) {
		return
	}
	if s.CheckOff {
		d.hold(s, EnableHealth, HoldCheckOff, "its health was forced at the socket and its check switched off, not by an open take of ours; `lbmedic ready` undoes that")
		return
	}
	d.hold(s, EnableHealth, HoldBalancerDown, "its sidecar passes, but the balancer's own check fails: see what the check asks")
}

// refuse is the ladder of refusals before a take: the first reason that applies, or none. The bounds of the backend
// come before the bounds of automation as a whole, so that in observe mode the reason given is the one that would
// hold in enforce mode. A take that is only completed or applied again is not counted by velocity.
func (d *decision) refuse(rows []Server, again bool) (Reason, string) {
	for _, s := range rows {
		if reason, detail := d.refuseServer(s); reason != "" {
			return reason, detail
		}
	}
	if reason, detail := d.refuseCapacity(rows, again); reason != "" {
		return reason, detail
	}
	if !again {
		if reason, detail := d.refuseVelocity(); reason != "" {
			return reason, detail
		}
	}
	return d.bound()
}

// refuseServer is about the server alone: who else has a say in it, and whether the evidence may be believed.
func (d *decision) refuseServer(s Server) (Reason, string) {
	if reason, detail := d.refuseEvidence(s); reason != "" && s.Order == nil && s.Override == nil {
		return reason, detail
	}
	switch {
	case s.Order != nil:
		return HoldOperatorOrder, string(s.Order.Want) + " by " + s.Order.By
	case s.Override != nil:
		return HoldOverride, "somebody put it back; that holds until its sidecar passes"
	case s.CheckOff:
		return HoldCheckOff, "somebody switched its check off; returning it would switch the check on again"
	case s.Tracks != "":
		return HoldTracks, "it follows " + s.Tracks
	case s.Agent:
		return HoldAgent, "an agent check sets its health and weight, and would undo what automation sets"
	case s.leftAlone(d.Now):
		return HoldRefused, "the balancer refused a step on it; see `lbmedic events`"
	case s.Pending:
		return HoldPending, "the outcome of a command is being read back"
	case !s.Checked && s.Persistent:
		return HoldPersistence, "it has no check, and sticky clients would still reach it at weight 0"
	case d.Backend.MapHash && !d.Policy.AllowMapHash:
		return HoldMapHash, "a map-based hash would move the keys of healthy servers; policy.hash: allow accepts that"
	}
	return "", ""
}

// refuseEvidence says why what the server's sidecar said may not be acted on.
func (d *decision) refuseEvidence(s Server) (Reason, string) {
	switch age := d.Now.Sub(s.Evidence.At); {
	case s.Evidence.Stale:
		return HoldEvidenceStale, "the sidecar has not confirmed it since it started"
	case !s.Evidence.At.IsZero() && age > d.Policy.EvidenceMaxAge:
		return HoldEvidenceStale, "its sidecar last answered " + ago(age, s.Evidence.At)
	case d.evidence(s) == healthd.Pass, d.evidence(s) == healthd.Warn:
		return HoldDisagree, "a row of the same address fails, and this one's sidecar does not: they should be one instance"
	case d.evidence(s) == healthd.Unknown:
		return HoldNoEvidence, "the row shares its address with the failing one, but its own sidecar does not answer"
	}
	return "", ""
}

// refuseCapacity is S1: the floor here and in every backend that follows, and the limit of what automation has out.
func (d *decision) refuseCapacity(rows []Server, again bool) (Reason, string) {
	c, own := d.tally.capacity(rows[0]), d.tally.counts[d.Backend.Name]
	switch {
	case own.active.Configured+own.backup.Configured < 2:
		return HoldSingleServer, "it is the only one"
	case d.Fleet.Failing >= 2 && d.Fleet.Failing*2 > d.Fleet.Targets:
		return HoldCorrelated, fmt.Sprintf("%d of %d sidecars fail or are silent at once", d.Fleet.Failing, d.Fleet.Targets)
	}
	if reason, detail := d.tally.refuse(rows); reason != "" {
		return reason, detail
	}
	if !again && c.Ejected+1 > c.MaxEjected {
		return HoldEjected, c.String()
	}
	return "", ""
}

// refuseVelocity is S10: so many instances within the window, here and in the fleet.
func (d *decision) refuseVelocity() (Reason, string) {
	var oldest time.Time
	recent := d.ejected
	for _, unit := range d.Backend.units() {
		counted := false
		for _, s := range unit {
			for _, at := range s.TakenAt {
				if !within(at, d.Policy.Window, d.Now) {
					continue
				}
				if oldest.IsZero() || at.Before(oldest) {
					oldest = at
				}
				counted = true
			}
		}
		if counted {
			recent++
		}
	}
	if recent >= d.Policy.TakesPerWindow {
		if !oldest.IsZero() {
			d.plan.wakeAt(oldest.Add(d.Policy.Window))
		}
		return HoldVelocity, fmt.Sprintf("%d taken out of this backend within %s", recent, d.Policy.Window)
	}
	if d.Fleet.Takes >= d.Policy.FleetPerWindow {
		d.plan.wakeAt(d.Now.Add(d.Policy.Window))
		return HoldFleetVelocity, fmt.Sprintf("%d taken out of all backends within %s", d.Fleet.Takes, d.Policy.Window)
	}
	return "", ""
}

// Refusal is why an order is not taken.
type Refusal struct {
	Target Target
	Reason Reason
	Detail string
}

func (r *Refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s: %s", r.Target, r.Reason, r.Detail))
}
