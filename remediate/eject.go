package remediate

import (
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// consider decides whether the rows of one address are taken out. They move together or not at all.
func (d *decision) consider(unit []Server) {
	var failing Server
	var serving []Server
	for _, s := range unit {
		if s.Take != nil {
			return // settled already
		}
		if s.Evidence.Status == healthd.Fail {
			failing = s
		}
		if s.Serving() {
			serving = append(serving, s)
		}
		if d.evidence(s) == healthd.Pass && s.Checked && s.Oper == OperDown && s.Admin&OutOfService == 0 && !s.returning(d.Now) {
			d.hold(s, EnableHealth, HoldBalancerDown, "its sidecar passes, but the balancer's own check fails: see what the check asks")
		}
	}
	if failing.Name == "" || len(serving) == 0 {
		return
	}
	if reason, detail := d.refuse(serving, false); reason != "" {
		for _, s := range serving {
			d.hold(s, takeVerb(s), reason, detail)
		}
		return
	}
	for _, s := range serving {
		d.take(s, takeVerb(s), SidecarFails, failing.Evidence.Detail)
	}
	c := d.capacity(failing)
	c.Serving--
	c.Ejected++
	d.Fleet.Takes++
}

// refuse is the ladder of refusals before a take: the first reason that applies, or none. The bounds of the backend
// come before the bounds of automation as a whole, so that in observe mode the reason given is the one that would
// hold in enforce mode. A take that is only applied again after a reload is not counted by velocity.
func (d *decision) refuse(unit []Server, again bool) (Reason, string) {
	for _, s := range unit {
		if reason, detail := d.refuseServer(s); reason != "" {
			return reason, detail
		}
	}
	if reason, detail := d.refuseCapacity(unit); reason != "" {
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
	switch {
	case s.Order != nil:
		return HoldOperatorOrder, string(s.Order.Want) + " by " + s.Order.By
	case s.Override != nil:
		return HoldOverride, "somebody put it back; that holds until its sidecar passes"
	case s.CheckOff:
		return HoldCheckOff, "somebody switched its check off; returning it would switch the check on again"
	case s.Tracks != "":
		return HoldTracks, "it follows " + s.Tracks
	case s.leftAlone(d.Now):
		return HoldRefused, "the balancer refused a step on it; see `lbmedic events`"
	case s.Pending:
		return HoldPending, "the outcome of a command is being read back"
	case s.Evidence.Stale:
		return HoldEvidenceStale, "the sidecar has not checked the app since it started"
	case d.Now.Sub(s.Evidence.At) > d.Policy.EvidenceMaxAge:
		return HoldEvidenceStale, "its sidecar last answered " + ago(d.Now.Sub(s.Evidence.At), s.Evidence.At)
	case s.Evidence.Status == healthd.Unknown:
		return HoldNoEvidence, "the row shares its address with the failing one, but its own sidecar does not answer"
	case !s.Checked && s.Persistent:
		return HoldPersistence, "it has no check, and sticky clients would still reach it at weight 0"
	case d.Backend.MapHash && !d.Policy.AllowMapHash:
		return HoldMapHash, "a map-based hash would move the keys of healthy servers; policy.hash: allow accepts that"
	}
	return "", ""
}

// refuseCapacity is S1: the floor here and in every backend that follows, and the limit of what automation has out.
func (d *decision) refuseCapacity(unit []Server) (Reason, string) {
	c := d.capacity(unit[0])
	switch {
	case d.active.Configured+d.backup.Configured < 2:
		return HoldSingleServer, "it is the only one"
	case d.Fleet.Failing >= 2 && d.Fleet.Failing*2 > d.Fleet.Targets:
		return HoldCorrelated, fmt.Sprintf("%d of %d sidecars fail or are silent at once", d.Fleet.Failing, d.Fleet.Targets)
	case !c.AfterOne():
		return HoldFloor, c.String()
	case c.Ejected+1 > c.MaxEjected:
		return HoldEjected, c.String()
	}
	if t, crossed := d.threshold(len(unit)); crossed {
		return HoldThreshold, fmt.Sprintf("nbsrv %s %d at %s would change its answer", t.Op, t.Low, t.Place)
	}
	for _, s := range unit {
		if reason, detail := d.refuseFollowers(s); reason != "" {
			return reason, detail
		}
	}
	return "", ""
}

// threshold finds the first number in the config that going of n rows would cross.
func (d *decision) threshold(n int) (Threshold, bool) {
	usable := 0 // as nbsrv counts: rows that are active, or the backups where no active row serves
	for _, s := range d.Backend.Servers {
		if s.Serving() && !s.Backup {
			usable++
		}
	}
	if usable == 0 {
		return Threshold{}, false
	}
	for _, t := range d.Backend.Thresholds {
		for after := usable - 1; after >= usable-n; after-- {
			if t.crossed(usable, after) {
				return t, true
			}
		}
	}
	return Threshold{}, false
}

// refuseFollowers applies the floor of each backend whose servers track s: they go down with it.
func (d *decision) refuseFollowers(s Server) (Reason, string) {
	name := d.Backend.Name + "/" + s.Name
	for _, f := range d.Followers {
		for _, row := range f.Servers {
			if row.Tracks != name || !row.Serving() {
				continue
			}
			c := capacityOf(f, d.Policy, row.Backup)
			if f.Name == d.Backend.Name {
				c = *d.capacity(row)
			}
			if !c.AfterOne() {
				return HoldFollowerFloor, fmt.Sprintf("%s/%s tracks it: %s", f.Name, row.Name, c)
			}
		}
	}
	return "", ""
}

// refuseVelocity is S10: so many takes within the window, here and in the fleet.
func (d *decision) refuseVelocity() (Reason, string) {
	var oldest time.Time
	recent := 0
	for _, s := range d.Backend.Servers {
		for _, at := range s.TakenAt {
			if d.Now.Sub(at) < d.Policy.Window {
				recent++
				if oldest.IsZero() || at.Before(oldest) {
					oldest = at
				}
			}
		}
	}
	for _, a := range d.plan.Take {
		if a.Reason == SidecarFails {
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
