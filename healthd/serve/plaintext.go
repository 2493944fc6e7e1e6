package serve

import (
	"fmt"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// plain is for people with curl: the status, a line for each service, one for each check, and the notes. Each line begins with a status.
func (r subject) plain(a audience, most int) []byte {
	var b strings.Builder
	b.WriteString(r.condition().word())
	if words := r.state(); words != nil && a != stranger {
		b.WriteString(" (" + words[0] + ")")
	}
	b.WriteByte('\n')
	if a != stranger {
		for i, svc := range r.parts {
			if a == insider || i < most {
				s := stand(svc, a, most)
				fmt.Fprintf(&b, "%s %s, weight %d%%, %s%s\n", s.Verdict, healthd.Line(svc.Name, 128), s.Weight, s.Order, marks(s.Stale, s.Damped))
			}
		}
		items, _ := r.items(a, most)
		for _, it := range items {
			b.WriteString(plainCheck(it) + "\n")
		}
	}
	for _, note := range r.notes(a, most) {
		b.WriteString("# " + note + "\n")
	}
	return []byte(b.String())
}

func plainCheck(it item) string {
	c := read(it.check)
	var b strings.Builder
	b.WriteString(c.Verdict + " " + healthd.Line(it.name, 256))
	if c.Impact != healthd.Required.String() {
		b.WriteString(" (" + c.Impact + ")")
	}
	if c.Value != nil {
		b.WriteString(" " + number(*c.Value) + " " + c.Unit)
	}
	for _, p := range []struct {
		name string
		ms   *float64
	}{{"p50", c.P50}, {"p95", c.P95}, {"p99", c.P99}} {
		if p.ms != nil {
			b.WriteString(", " + p.name + " " + number(*p.ms) + " ms")
		}
	}
	b.WriteString(marks(c.Stale, c.Damped))
	if c.Output != "" {
		b.WriteString(": " + healthd.Line(c.Output, healthd.MaxDetail))
	}
	return b.String()
}

func marks(stale, damped bool) string {
	text := ""
	if stale {
		text += ", stale"
	}
	if damped {
		text += ", damped"
	}
	return text
}
