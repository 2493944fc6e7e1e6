package serve

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// healthJSON follows draft-inadarei-api-health-check-06, which is compatible with, and no standard.
type healthJSON struct {
	Status    string               `json:"status"`
	ServiceID string               `json:"serviceId,omitempty"`
	Notes     []string             `json:"notes,omitempty"`
	Output    string               `json:"output,omitempty"`
	Checks    map[string][]measure `json:"checks,omitempty"`
}

type measure struct {
	ComponentType string   `json:"componentType,omitempty"`
	ObservedValue *float64 `json:"observedValue,omitempty"`
	ObservedUnit  string   `json:"observedUnit,omitempty"`
	Status        string   `json:"status,omitempty"` // none while unknown
	Time          string   `json:"time,omitempty"`
	Output        string   `json:"output,omitempty"` // not on pass
}

func (r subject) print(details bool) body {
	j := healthJSON{Status: "fail", ServiceID: r.service, Notes: r.notes(), Checks: map[string][]measure{}}
	switch r.condition() {
	case passing:
		j.Status = "pass"
	case warning:
		j.Status = "warn"
	}
	var outputs []string
	for _, svc := range r.parts {
		prefix := ""
		if r.service == "" {
			prefix = svc.Name + "/"
		}
		for i := range svc.Checks {
			c := &svc.Checks[i]
			name := prefix + c.Name
			if c.Measurement != "" {
				name += ":" + c.Measurement
			}
			j.Checks[name] = []measure{measured(c, details)}
		}
		if blame := svc.Blame(); blame != nil {
			outputs = append(outputs, prefix+blame.Name+": "+blame.Verdict.Last.Detail)
		}
	}
	if details && j.Status != "pass" {
		j.Output = strings.Join(outputs[:min(len(outputs), 8)], "; ")
	}
	text, err := json.Marshal(j)
	if err != nil { // of strings and numbers: cannot be
		text = fmt.Appendf(nil, `{"status":"fail","notes":[%q]}`, err)
	}
	text = append(text, '\n')
	return body{text: text, length: []string{strconv.Itoa(len(text))}}
}

func measured(c *healthd.Check, details bool) measure {
	var m measure
	if c.Verdict.Status != healthd.Unknown {
		m.Status = c.Verdict.Status.String()
	}
	last := c.Verdict.Last
	if !details || last.At.IsZero() {
		return m
	}
	m.ComponentType = "component"
	m.Time = last.At.UTC().Format(time.RFC3339Nano)
	if last.Class.Status() != healthd.Unknown {
		ms := float64(last.Took.Microseconds()) / 1000
		m.ObservedValue, m.ObservedUnit = &ms, "ms"
	}
	if c.Verdict.Status != healthd.Pass || last.Class != healthd.OK {
		m.Output = last.Detail
	}
	return m
}
