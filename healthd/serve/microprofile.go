package serve

import "github.com/lbmedic/lbmedic/healthd"

// microprofileHealth is the body of MicroProfile Health 4.0, which knows UP and DOWN only. What our own words say goes into data, whose
// values are flat there.
type microprofileHealth struct {
	Status string              `json:"status"`
	Checks []microprofileCheck `json:"checks"`
}

type microprofileCheck struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Data   any    `json:"data,omitempty"` // a service's standing without notes, or a reading
}

func (r subject) microprofile(a audience, most int) []byte {
	j := microprofileHealth{Status: upDown(r.condition().Serving()), Checks: []microprofileCheck{}}
	if a != stranger {
		for i, svc := range r.parts {
			if a == insider || i < most {
				data := stand(svc, a, most)
				data.Notes = nil
				j.Checks = append(j.Checks, microprofileCheck{svc.Name, upDown(about(svc).condition().Serving()), data})
			}
		}
	}
	items, _ := r.items(a, most)
	for _, it := range items {
		check := microprofileCheck{Name: it.name, Status: upDown(it.check.Verdict.Status == healthd.Pass || it.check.Verdict.Status == healthd.Warn)}
		if a != stranger {
			check.Data = read(it.check)
		}
		j.Checks = append(j.Checks, check)
	}
	return encode(j)
}

func upDown(up bool) string {
	if up {
		return "UP"
	}
	return "DOWN"
}
