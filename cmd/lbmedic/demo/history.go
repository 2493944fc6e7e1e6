package demo

import "time"

// Phase is a part of the story; every request of the load belongs to the one in which it was sent.
type Phase string

// The phases in their order.
const (
	Calm     Phase = "calm"     // all three apps serve
	Broken   Phase = "broken"   // app1's dependency is gone, and HAProxy still sends it requests
	Out      Phase = "out"      // HAProxy sends app1 nothing
	Returned Phase = "returned" // app1 serves again
	Deploy   Phase = "deploy"   // app2 is drained, replaced and put back
	After    Phase = "after"    // app2 serves its new release
)

// The phases of a second load, through nginx.
const (
	NginxDrain Phase = "nginx-drain" // nginx is told to leave app3 alone, by an edit of its configuration
	NginxOut   Phase = "nginx-out"   // it does
	NginxReady Phase = "nginx-ready" // it is told to use app3 again
)

// phases in the order of the story.
var phases = []Phase{Calm, Broken, Out, Returned, Deploy, After, NginxDrain, NginxOut, NginxReady}

// Act is something that the story does.
type Act string

// The acts in their order.
const (
	ActBreak    Act = "break"    // the dependency of app1 is stopped
	ActHeal     Act = "heal"     // it is started again
	ActDrain    Act = "drain"    // `lbmedic drain --wait` of app2 is called
	ActDrained  Act = "drained"  // it has returned
	ActReplaced Act = "replaced" // the new release of app2 answers, and its sidecar passes
	ActReady    Act = "ready"    // `lbmedic ready` of app2 is called
)

// Step is an act and its time.
type Step struct {
	Act Act       `json:"act"`
	At  time.Time `json:"at"`
}

// Sample is how HAProxy itself showed a server at one moment.
type Sample struct {
	At       time.Time `json:"at"` // when the answer was complete, so never too early
	State    string    `json:"state"`
	Routing  bool      `json:"routing"` // new requests are sent to it
	Sessions int64     `json:"sessions"`
	Queued   int64     `json:"queued"`
	Picked   int64     `json:"picked"` // requests that were ever sent to it
	Failed   int64     `json:"failed"` // answers with a status of 500 and above that it ever gave
}

// Sighting is a change of a server's state in HAProxy: the last sample before it and the first one after it.
type Sighting struct {
	Server string `json:"server"`
	Before Sample `json:"before"`
	Sample
}

// Word is what a sidecar came to hold of its app. At is when the check ended whose result made it so.
type Word struct {
	Server string    `json:"server"`
	Status string    `json:"status"` // pass, warn or fail
	At     time.Time `json:"at"`
}

// History is everything that the verdict depends on, in the order in which it happened.
type History struct {
	Steps  []Step
	Seen   []Sighting
	Words  []Word
	Rest   Sample // app2 in HAProxy after it was said to be drained, before it was stopped
	Counts map[Phase]Count
	Nginx  bool // nginx took part
}

// step is the time of an act.
func (h *History) step(a Act) (time.Time, bool) {
	for _, s := range h.Steps {
		if s.Act == a {
			return s.At, true
		}
	}
	return time.Time{}, false
}

// sighting is the first change of a server after an act that is wanted.
func (h *History) sighting(server string, after Act, wanted func(Sighting) bool) (Sighting, bool) {
	from, done := h.step(after)
	for _, s := range h.Seen {
		if done && s.Server == server && s.At.After(from) && wanted(s) {
			return s, true
		}
	}
	return Sighting{}, false
}

// word is the first time after an act that a sidecar came to hold the status.
func (h *History) word(server, status string, after Act) (Word, bool) {
	from, done := h.step(after)
	for _, w := range h.Words {
		if done && w.Server == server && w.Status == status && w.At.After(from) {
			return w, true
		}
	}
	return Word{}, false
}

func routing(s Sighting) bool    { return s.Routing }
func notRouting(s Sighting) bool { return !s.Routing }
