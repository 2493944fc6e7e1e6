package demo

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Report is the end of the story, for people and for machines.
type Report struct {
	Kept     bool        `json:"kept"` // every promise was kept
	Promises []Promise   `json:"promises"`
	Figures  Figures     `json:"figures"`
	Phases   []PhaseLine `json:"phases"`
	HAProxy  string      `json:"haproxy"`         // its version
	Nginx    string      `json:"nginx,omitempty"` // its version; empty where it is not installed
	Looks    int         `json:"looks"`           // how often HAProxy was looked at
	Gap      float64     `json:"longest_gap_ms"`  // between two looks
	Timeline []Event     `json:"timeline"`
}

// PhaseLine is what users met in one phase.
type PhaseLine struct {
	Phase Phase `json:"phase"`
	Count
}

// Figures are times in milliseconds; 0 where it did not happen.
type Figures struct {
	Detect float64 `json:"detect_ms"`       // from the failure to the check result that reached fall
	Remove float64 `json:"remove_ms"`       // from that result to HAProxy not routing
	Limit  float64 `json:"remove_limit_ms"` // of Remove
	Return float64 `json:"return_ms"`       // from the dependency healing to HAProxy routing
	Drain  float64 `json:"drain_ms"`        // of `lbmedic drain --wait`
	Deploy float64 `json:"deploy_ms"`       // from the call of drain to HAProxy routing to the new release
	Story  float64 `json:"story_ms"`        // from the start to the verdict
}

// newReport judges a history.
func newReport(h *History) *Report {
	r := &Report{Kept: true, Promises: Judge(h), Figures: figures(h)}
	for _, p := range r.Promises {
		r.Kept = r.Kept && p.Kept
	}
	for _, p := range phases {
		r.Phases = append(r.Phases, PhaseLine{p, h.Counts[p]})
	}
	return r
}

func figures(h *History) Figures {
	f := Figures{Limit: inMS(RemovalLimit)}
	between := func(into *float64, from time.Time, known bool, to time.Time, reached bool) {
		if known && reached {
			*into = inMS(to.Sub(from))
		}
	}
	broke, b := h.step(ActBreak)
	fell, w := h.word(broken, "fail", ActBreak)
	out, o := h.sighting(broken, ActBreak, notRouting)
	between(&f.Detect, broke, b, fell.At, w)
	between(&f.Remove, fell.At, w, out.At, o)
	healed, e := h.step(ActHeal)
	back, r := h.sighting(broken, ActHeal, routing)
	between(&f.Return, healed, e, back.At, r)
	began, d := h.step(ActDrain)
	drained, n := h.step(ActDrained)
	served, s := h.sighting(deployed, ActReady, routing)
	between(&f.Drain, began, d, drained, n)
	between(&f.Deploy, began, d, served.At, s)
	return f
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Print writes the summary for people.
func (r *Report) Print(w io.Writer, colour bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", title.draw(fmt.Sprintf("%-12s%6s%7s%8s%6s%11s  %s", "PHASE", "SENT", "OK", "ERRORS", "LOST", "P99", "ANSWERED BY"), colour))
	for _, p := range r.Phases {
		if p.Sent == 0 {
			continue
		}
		line := fmt.Sprintf("%-12s%6d%7d%8d%6d%8.1f ms  %s", p.Phase, p.Sent, p.OK, p.Errors, p.Lost, p.P99, p.by())
		fmt.Fprintln(&b, p.tone().draw(strings.TrimRight(line, " "), colour))
	}
	f := r.Figures
	fmt.Fprintf(&b, "\ntime to detect %7.0f ms   from the failure to the check result that reached fall\n", math.Ceil(f.Detect))
	fmt.Fprintf(&b, "time to remove %7.0f ms   from that result to HAProxy not routing (limit %.0f ms)\n", math.Ceil(f.Remove), f.Limit)
	fmt.Fprintf(&b, "time to return %7.0f ms   from the dependency healing to HAProxy routing, by its own rise\n", math.Ceil(f.Return))
	fmt.Fprintf(&b, "deploy         %7.0f ms   from drain to HAProxy routing to the new release; %.0f ms of it to drain\n", math.Ceil(f.Deploy), math.Ceil(f.Drain))
	fmt.Fprintf(&b, "\nHAProxy %s was looked at %d times; %.0f ms between two looks at most\n\n", r.HAProxy, r.Looks, r.Gap)
	for _, p := range r.Promises {
		word, how := "kept  ", good
		if !p.Kept {
			word, how = "BROKEN", bad
		}
		fmt.Fprintf(&b, "%s  %s: %s\n", how.draw(word, colour), p.Name, p.Detail)
	}
	verdict, how := "all promises were kept", good
	if !r.Kept {
		verdict, how = "not all promises were kept", bad
	}
	fmt.Fprintf(&b, "\n%s, in %.1f s\n", how.draw(verdict, colour), f.Story/1000)
	_, err := io.WriteString(w, b.String())
	return err
}

func (p PhaseLine) tone() tone {
	if p.OK != p.Sent {
		return bad
	}
	return plain
}

// by is who gave the good answers, by name.
func (p PhaseLine) by() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p.By)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, p.By[name]))
	}
	return strings.Join(parts, ", ")
}
