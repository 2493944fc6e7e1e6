package healthd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxStale is how old a snapshot from before a start may be to be served until the first round.
const MaxStale = 60 * time.Second

// Snapshot is everything known at one moment. It is never modified once published; Update and the others make a new one.
type Snapshot struct {
	Instance   string    `json:"instance"`       // names one run of the sidecar, so that a restart is noticed
	Boot       string    `json:"boot,omitempty"` // names the boot of its host; empty: not known
	Generation uint64    `json:"generation"`     // grows with each change of a verdict, an order or a mark of staleness
	At         time.Time `json:"at"`
	Services   []Service `json:"services"` // by name
}

// Service is one service of this instance.
type Service struct {
	Name       string    `json:"name"`
	Address    string    `json:"address,omitempty"` // where it listens, host:port
	Status     Status    `json:"status"`            // from the checks alone; orders are in Admin
	Since      time.Time `json:"since"`
	Stale      bool      `json:"stale,omitempty"` // some of what Status rests on was not measured lately
	Admin      Admin     `json:"admin"`
	Weight     int       `json:"weight"`            // percent of its share of the traffic that it is fit for: 100, less while it is slow, never 0
	Floor      int       `json:"floor,omitempty"`   // percent below which slowness never lowers Weight; 25
	Suspect    []string  `json:"suspect,omitempty"` // shared dependencies, by check name, that fail and are not held against this instance, for they fail elsewhere too or nobody could be asked
	Generation uint64    `json:"generation"`        // of the snapshot in which this service last changed
	Checks     []Check   `json:"checks"`            // by name
}

// Check is one check of a service.
type Check struct {
	Name        string        `json:"name"`
	Kind        string        `json:"kind"`                  // http, tcp
	Measurement string        `json:"measurement,omitempty"` // what Took is, in health+json: responseTime
	Target      string        `json:"target,omitempty"`
	Impact      Impact        `json:"impact"`
	Shared      bool          `json:"shared,omitempty"` // a dependency that siblings use too
	Group       string        `json:"group,omitempty"`  // of checks that count as one, which passes while Need of them pass
	Need        int           `json:"need,omitempty"`   // of its group; 1
	Latency     Latency       `json:"latency"`          // of the last results
	MaxAge      time.Duration `json:"max_age"`          // beyond which a measurement is stale; 0 means never
	Verdict     Verdict       `json:"verdict"`
	Stale       bool          `json:"stale,omitempty"`
	Blind       bool          `json:"blind,omitempty"`   // it has been stale for longer than MaxStale, so that a service that requires it warns
	Suspect     bool          `json:"suspect,omitempty"` // it fails or could not be measured yet, and that is not held against this instance; see Sharing
	Brought     bool          `json:"brought,omitempty"` // the verdict is from before the start, and nothing was measured since
	Awaited     bool          `json:"awaited,omitempty"` // there was no outcome since the start, not even one that could not be measured
}

// MarshalJSON writes the age as people read it.
func (c Check) MarshalJSON() ([]byte, error) {
	type plain Check
	return json.Marshal(struct {
		plain
		MaxAge lasting `json:"max_age"`
	}{plain(c), lasting(c.MaxAge)})
}

// UnmarshalJSON reads what MarshalJSON writes, and a number of nanoseconds.
func (c *Check) UnmarshalJSON(text []byte) error {
	type plain Check
	j := struct {
		*plain
		MaxAge lasting `json:"max_age"`
	}{plain: (*plain)(c)}
	err := json.Unmarshal(text, &j)
	c.MaxAge = time.Duration(j.MaxAge)
	return err
}

// Tag is the generation as the world sees it, "INSTANCE-N".
func (s *Snapshot) Tag() string { return s.Instance + "-" + strconv.FormatUint(s.Generation, 10) }

// ParseTag splits what Tag made. The instance is 1 to 64 letters and digits.
func ParseTag(tag string) (instance string, generation uint64, err error) {
	instance, number, ok := strings.Cut(tag, "-")
	if !ok || len(instance) == 0 || len(instance) > 64 || strings.ContainsFunc(instance, notAlphanumeric) {
		return "", 0, fmt.Errorf("generation %q is not INSTANCE-NUMBER", Line(tag, 80))
	}
	generation, err = strconv.ParseUint(number, 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("generation %q is not INSTANCE-NUMBER", Line(tag, 80))
	}
	return instance, generation, nil
}

func notAlphanumeric(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}

// Service finds a service by name.
func (s *Snapshot) Service(name string) (*Service, bool) {
	i, ok := slices.BinarySearchFunc(s.Services, name, func(v Service, n string) int { return strings.Compare(v.Name, n) })
	if !ok {
		return nil, false
	}
	return &s.Services[i], true
}

// Check finds a check by name.
func (s *Service) Check(name string) (*Check, bool) {
	i, ok := slices.BinarySearchFunc(s.Checks, name, func(c Check, n string) int { return strings.Compare(c.Name, n) })
	if !ok {
		return nil, false
	}
	return &s.Checks[i], true
}

// Settled reports whether the first round of this run is over: each required check had one outcome of any class. One that cannot be made
// ends its round too, for else it would keep the services beside its own from being heard of.
func (s *Snapshot) Settled() bool {
	return !slices.ContainsFunc(s.Services, func(v Service) bool {
		return slices.ContainsFunc(v.Checks, func(c Check) bool { return c.Awaited && c.Impact == Required })
	})
}

// Blame names the check that a service's status rests on, nil where it passes or nothing is known: the first by name of the gravest.
func (s *Service) Blame() *Check {
	var worst *Check
	for p := range parts(s.Checks) {
		means := p.impact.means(p.status)
		if means == s.Status && (means == Warn || means == Fail) && (worst == nil || p.blame.Verdict.Status > worst.Verdict.Status) {
			worst = p.blame
		}
	}
	return worst
}
