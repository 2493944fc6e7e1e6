package demo

import (
	"fmt"
	"strings"
	"time"
)

// RemovalLimit is the longest that may pass from the end of the check that makes a sidecar fail to HAProxy not sending
// its app any request, with the sidecar across the loopback.
const RemovalLimit = 250 * time.Millisecond

// leastSent is how many requests a phase must have had before "none was lost" says something.
const leastSent = 20

// Promise is one thing that was promised, and whether it was kept.
type Promise struct {
	Name   string `json:"name"`
	Kept   bool   `json:"kept"`
	Detail string `json:"detail"`
}

// rule is how one promise is judged: whether it was kept, and what was seen.
type rule struct {
	name  string
	judge func(*History) (kept bool, detail string)
}

// promises are all of them, in the order of the story. Each is judged by what HAProxy itself showed and by what the
// users of the load met; the words of lbmedic are believed in nothing but the time of a check's result.
var promises = []rule{
	{"all apps serve", allServe},
	{"users meet the failure", failureIsReal},
	{"the failing app is taken out", takenOut},
	{"it is taken out in time", takenOutInTime},
	{"nothing is sent to it while it is out", nothingSentWhileOut},
	{"it returns by HAProxy's own rise", returnedByRise},
	{"the app to deploy is drained first", drainedFirst},
	{"its new release serves", newReleaseServes},
	{"no request is lost during the deploy", deployLosesNothing},
	{"users meet errors in the break alone", errorsInTheBreakAlone},
	{"nginx drains by an edit", nginxDrains},
}

// Judge decides which promises a history keeps.
func Judge(h *History) []Promise {
	out := make([]Promise, len(promises))
	for i, p := range promises {
		out[i].Name = p.name
		out[i].Kept, out[i].Detail = p.judge(h)
	}
	return out
}

func allServe(h *History) (bool, string) {
	broke, done := h.step(ActBreak)
	serves := map[string]bool{}
	for _, s := range h.Seen {
		if !done || s.At.Before(broke) {
			serves[s.Server] = s.Routing
		}
	}
	var lacking []string
	for _, name := range appNames {
		if !serves[name] {
			lacking = append(lacking, name)
		}
	}
	if lacking != nil || !done {
		return false, "HAProxy never sent requests to " + strings.Join(lacking, ", ")
	}
	return true, "HAProxy sends requests to all three"
}

func failureIsReal(h *History) (bool, string) {
	out, ok := h.sighting(broken, ActBreak, notRouting)
	if !ok {
		return false, broken + " was never taken out"
	}
	if out.Failed == 0 {
		return false, "HAProxy saw no answer of " + broken + " with a status of 500: its port stayed open, but nothing failed"
	}
	return true, fmt.Sprintf("HAProxy counted %d answers with a status of 500 from %s", out.Failed, broken)
}

func takenOut(h *History) (bool, string) {
	broke, _ := h.step(ActBreak)
	out, ok := h.sighting(broken, ActBreak, notRouting)
	if !ok {
		return false, "HAProxy went on sending requests to " + broken
	}
	return true, fmt.Sprintf("HAProxy shows %s, %s after the dependency failed", out.State, ms(out.At.Sub(broke)))
}

func takenOutInTime(h *History) (bool, string) {
	fell, said := h.word(broken, "fail", ActBreak)
	out, ok := h.sighting(broken, ActBreak, notRouting)
	switch took := out.At.Sub(fell.At); {
	case !said:
		return false, "the sidecar of " + broken + " never said fail"
	case !ok:
		return false, "HAProxy went on sending requests to " + broken
	case took < 0:
		return false, "HAProxy took it out before its sidecar said fail: that was somebody else"
	default:
		return took <= RemovalLimit, fmt.Sprintf("%s from the check result that reached fall to HAProxy not routing (limit %s)", ms(took), ms(RemovalLimit))
	}
}

func nothingSentWhileOut(h *History) (bool, string) {
	out, ok := h.sighting(broken, ActBreak, notRouting)
	back, returned := h.sighting(broken, ActHeal, routing)
	if !ok || !returned {
		return false, broken + " was not taken out and returned"
	}
	n := back.Before.Picked - out.Picked
	return n == 0, fmt.Sprintf("HAProxy sent it %d requests in the %s", n, ms(back.Before.At.Sub(out.At)))
}

// returnedByRise wants to see the count of passed checks on its way to rise, "DOWN 1/2": a server that was set up by
// command shows none.
func returnedByRise(h *History) (bool, string) {
	healed, _ := h.step(ActHeal)
	back, ok := h.sighting(broken, ActHeal, routing)
	if !ok {
		return false, "HAProxy did not return " + broken
	}
	rising, ok := h.sighting(broken, ActHeal, func(s Sighting) bool { return strings.HasPrefix(s.State, "DOWN 1/") })
	if !ok || !rising.At.Before(back.At) {
		return false, "HAProxy returned it without counting its own checks"
	}
	return true, fmt.Sprintf("HAProxy showed %s, then %s, %s after the dependency healed", rising.State, back.State, ms(back.At.Sub(healed)))
}

func drainedFirst(h *History) (bool, string) {
	ready, done := h.step(ActReady)
	drain, ok := h.sighting(deployed, ActDrain, notRouting)
	switch rest := h.Rest; {
	case !ok || done && drain.At.After(ready):
		return false, "HAProxy never stopped sending requests to " + deployed
	case rest.At.Before(drain.At):
		return false, deployed + " was stopped before HAProxy showed it drained"
	case rest.Routing || rest.Sessions > 0 || rest.Queued > 0:
		return false, fmt.Sprintf("it was called drained while HAProxy showed %s with %d sessions, %d queued", rest.State, rest.Sessions, rest.Queued)
	}
	return true, "HAProxy shows " + h.Rest.State + " with 0 sessions, 0 queued, before it is stopped"
}

func newReleaseServes(h *History) (bool, string) {
	back, ok := h.sighting(deployed, ActReady, routing)
	if !ok {
		return false, "HAProxy did not return " + deployed
	}
	n := h.Counts[Deploy].By[deployed+" "+newRelease] + h.Counts[After].By[deployed+" "+newRelease]
	if n == 0 {
		return false, "HAProxy shows " + back.State + ", but users never met " + deployed + " " + newRelease
	}
	return true, fmt.Sprintf("HAProxy shows %s; %s %s answered %d requests", back.State, deployed, newRelease, n)
}

func deployLosesNothing(h *History) (bool, string) {
	c := h.Counts[Deploy]
	if c.Sent < leastSent {
		return false, fmt.Sprintf("only %d requests were sent during the deploy: that shows nothing", c.Sent)
	}
	return c.OK == c.Sent, fmt.Sprintf("%d of %d answered well%s", c.OK, c.Sent, c.example())
}

func errorsInTheBreakAlone(h *History) (bool, string) {
	var wrong []string
	sent := 0
	for _, p := range phases {
		if c := h.Counts[p]; p != Broken {
			sent += c.Sent
			if c.OK != c.Sent {
				wrong = append(wrong, fmt.Sprintf("%d in phase %s%s", c.Sent-c.OK, p, c.example()))
			}
		}
	}
	if wrong != nil {
		return false, "requests without a good answer: " + strings.Join(wrong, ", ")
	}
	return sent >= leastSent, fmt.Sprintf("%d during the break, 0 of %d otherwise", h.Counts[Broken].Sent-h.Counts[Broken].OK, sent)
}

// nginxDrains is judged by who answered through nginx, which itself says nothing about its servers.
func nginxDrains(h *History) (bool, string) {
	if !h.Nginx {
		return true, "nginx is not installed: nothing was promised"
	}
	out := h.Counts[NginxOut]
	drained, back := out.By[spared+" "+oldRelease], h.Counts[NginxReady].By[spared+" "+oldRelease]
	switch {
	case out.Sent < leastSent:
		return false, fmt.Sprintf("only %d requests were sent while %s was drained: that shows nothing", out.Sent, spared)
	case drained > 0:
		return false, fmt.Sprintf("%s answered %d requests that were sent after it was called drained", spared, drained)
	case back == 0:
		return false, spared + " answered nothing after it was called ready"
	}
	return true, fmt.Sprintf("%s answered 0 of %d requests while it was out, and %d afterwards", spared, out.Sent, back)
}

// ms is a duration in whole milliseconds, rounded up: a limit is never kept by rounding.
func ms(d time.Duration) string {
	return fmt.Sprintf("%d ms", (d+time.Millisecond-1)/time.Millisecond)
}
