package serve

import "encoding/json"

// healthJSON is compatible with draft-inadarei-api-health-check-06, which has expired and is no standard. It allows keys of one's own
// in what is told of a check: p50_ms and so on.
type healthJSON struct {
	Status    string               `json:"status"`
	ServiceID string               `json:"serviceId,omitempty"`
	Notes     []string             `json:"notes,omitempty"`
	Output    string               `json:"output,omitempty"`
	Checks    map[string][]measure `json:"checks,omitempty"` // by name:measurement
}

type measure struct {
	ComponentID   string   `json:"componentId,omitempty"` // the address of a shared dependency, by which siblings know it
	ComponentType string   `json:"componentType,omitempty"`
	ObservedValue *float64 `json:"observedValue,omitempty"`
	ObservedUnit  string   `json:"observedUnit,omitempty"`
	Status        string   `json:"status,omitempty"` // none while unknown
	Time          string   `json:"time,omitempty"`
	P50           *float64 `json:"p50_ms,omitempty"`
	P95           *float64 `json:"p95_ms,omitempty"`
	P99           *float64 `json:"p99_ms,omitempty"`
	Stale         bool     `json:"stale,omitempty"`
	Damped        bool     `json:"damped,omitempty"`
	Output        string   `json:"output,omitempty"` // not on pass
}

func (r subject) healthJSON(a audience, most int) []byte {
	j := healthJSON{Status: r.condition().word(), Notes: r.notes(a, most)}
	if a == stranger {
		return encode(j)
	}
	j.ServiceID, j.Checks = r.service, map[string][]measure{}
	for i, svc := range r.parts {
		if i < most && Weight(svc) < 100 {
			percent := float64(Weight(svc))
			j.Checks[svc.Name+":weight"] = []measure{{ComponentType: "component", ObservedValue: &percent, ObservedUnit: "percent"}}
		}
	}
	items, _ := r.items(a, most)
	for _, it := range items {
		c := read(it.check)
		name := it.name
		if it.check.Measurement != "" {
			name += ":" + it.check.Measurement
		}
		m := measure{ObservedValue: c.Value, ObservedUnit: c.Unit, Status: c.Verdict, Time: c.Time,
			P50: c.P50, P95: c.P95, P99: c.P99, Stale: c.Stale, Damped: c.Damped, Output: c.Output}
		if c.Verdict == "unknown" {
			m.Status = ""
		}
		if c.Time != "" {
			m.ComponentType = "component"
		}
		if it.check.Shared {
			m.ComponentID = it.check.Target
		}
		j.Checks[name] = []measure{m}
	}
	if j.Status != "pass" {
		j.Output = r.blames(min(most, 8))
	}
	return encode(j)
}

// encode writes one of our own types, which are strings, finite numbers and the like, as one line.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // cannot be
		return []byte("{\"status\":\"fail\"}\n")
	}
	return append(text, '\n')
}
