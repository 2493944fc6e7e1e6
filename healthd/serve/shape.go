package serve

// shape is one form in which the state is told.
type shape uint8

const (
	healthShape shape = iota
	actuatorShape
	microprofileShape
	plainShape
	kubernetesShape
	shapes // how many there are
)

// printers make the body about a subject for an audience, with at most so many of anything that there may be many of.
var printers = [shapes]func(r subject, a audience, most int) []byte{
	healthShape:       subject.healthJSON,
	actuatorShape:     subject.actuator,
	microprofileShape: subject.microprofile,
	plainShape:        subject.plain,
	kubernetesShape:   subject.kubernetes,
}

// Values of headers, shared by all answers and never written to.
var (
	healthType   = []string{"application/health+json"}
	jsonType     = []string{"application/json"}
	actuatorType = []string{"application/vnd.spring-boot.actuator.v3+json"}
	plainType    = []string{"text/plain; charset=utf-8"}
	problemType  = []string{"application/problem+json"}
)

// What may be had at each kind of path, the usual first. application/json at /health is MicroProfile's, for it has no type of its own.
var (
	healthOffers = []offer{
		{"application/health+json", healthType, healthShape},
		{"application/vnd.spring-boot.actuator.v3+json", actuatorType, actuatorShape},
		{"application/vnd.spring-boot.actuator.v2+json", []string{"application/vnd.spring-boot.actuator.v2+json"}, actuatorShape},
		{"application/json", jsonType, microprofileShape},
		{"text/plain", plainType, plainShape},
	}
	actuatorOffers = []offer{
		{"application/vnd.spring-boot.actuator.v3+json", actuatorType, actuatorShape},
		{"application/vnd.spring-boot.actuator.v2+json", []string{"application/vnd.spring-boot.actuator.v2+json"}, actuatorShape},
		{"application/json", jsonType, actuatorShape},
	}
	microprofileOffers = []offer{{"application/json", jsonType, microprofileShape}}
)

// budgets are how many of anything a bounded body is tried with.
var budgets = []int{64, 32, 16, 8, 4, 2, 1, 0}

const everything = 1<<31 - 1

// print makes one body. For insiders it is as long as it is; for others it has as much as fits into MaxBrief.
func (r subject) print(s shape, a audience) []byte {
	if a == insider {
		return printers[s](r, a, everything)
	}
	var text []byte
	for _, most := range budgets {
		if text = printers[s](r, a, most); len(text) <= MaxBrief {
			break
		}
	}
	return text
}
