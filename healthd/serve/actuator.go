package serve

import "github.com/lbmedic/lbmedic/healthd"

// actuatorHealth is how Spring Boot's Actuator tells health. Its statuses DOWN and OUT_OF_SERVICE come with 503, UP and UNKNOWN with 200, so
// that an instance of which nothing is known yet is OUT_OF_SERVICE; one check of it may be UNKNOWN.
type actuatorHealth struct {
	Status     string                    `json:"status"`
	Details    any                       `json:"details,omitempty"` // a standing or a reading
	Components map[string]actuatorHealth `json:"components,omitempty"`
	Groups     []string                  `json:"groups,omitempty"`
}

func (r subject) actuator(a audience, most int) []byte {
	j := actuatorHealth{Status: actuatorWord(r.condition())}
	if r.service == "" {
		j.Groups = []string{"liveness", "readiness"}
	}
	items, _ := r.items(a, most)
	switch {
	case a == stranger:
		j.Components = map[string]actuatorHealth{}
		for _, it := range items {
			j.Components[it.name] = actuatorHealth{Status: "DOWN"}
		}
	case r.service == "":
		j.Components = map[string]actuatorHealth{}
		for i, svc := range r.parts {
			if a == insider || i < most {
				j.Components[svc.Name] = actuatorService(svc, a, most)
			}
		}
		for _, it := range items {
			if whole, ok := j.Components[it.service.Name]; ok {
				whole.Components[it.check.Name] = actuatorCheck(it.check)
			}
		}
	default:
		j = actuatorService(r.parts[0], a, most)
		for _, it := range items {
			j.Components[it.check.Name] = actuatorCheck(it.check)
		}
	}
	return encode(j)
}

func actuatorService(svc *healthd.Service, a audience, most int) actuatorHealth {
	return actuatorHealth{Status: actuatorWord(about(svc).condition()), Details: stand(svc, a, most), Components: map[string]actuatorHealth{}}
}

func actuatorCheck(c *healthd.Check) actuatorHealth {
	word := "UNKNOWN"
	switch c.Verdict.Status {
	case healthd.Pass, healthd.Warn:
		word = "UP"
	case healthd.Fail:
		word = "DOWN"
	}
	return actuatorHealth{Status: word, Details: read(c)}
}

func actuatorWord(c Condition) string {
	switch {
	case c.Serving():
		return "UP"
	case c == Failing:
		return "DOWN"
	}
	return "OUT_OF_SERVICE"
}
