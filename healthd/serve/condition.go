package serve

import "github.com/lbmedic/lbmedic/healthd"

// Condition is what decides about an answer in every shape: its status code, its gRPC status, its one word.
type Condition uint8

// The conditions of a service or of the whole instance.
const (
	Passing Condition = iota
	Warning
	Failing
	Starting // nothing is known yet
	Out      // drained or in maintenance, and not failing
)

// Serving reports whether traffic should come.
func (c Condition) Serving() bool { return c == Passing || c == Warning }

// word is the status in health+json, which has none for what is unknown or on order.
func (c Condition) word() string {
	switch c {
	case Passing:
		return "pass"
	case Warning:
		return "warn"
	}
	return "fail"
}

// conditionOf is what status and order come to. A failing service that is drained too is failing.
func conditionOf(status healthd.Status, order healthd.AdminState) Condition {
	switch {
	case status == healthd.Unknown:
		return Starting
	case status == healthd.Fail:
		return Failing
	case order != healthd.Ready:
		return Out
	case status == healthd.Warn:
		return Warning
	}
	return Passing
}

// Conditions are those of every service, prepared when the state changes.
type Conditions struct{ press press[map[string]Condition] }

// NewConditions prepares them from source when they are first asked for.
func NewConditions(source Source) *Conditions {
	c := &Conditions{}
	c.press.source, c.press.render = source, conditions
	return c
}

// Latest is by the name of the service; the empty name is the whole instance. It is not to be changed.
func (c *Conditions) Latest() map[string]Condition { return *c.press.latest() }

func conditions(s *healthd.Snapshot) *map[string]Condition {
	all := make(map[string]Condition, len(s.Services)+1)
	for i := range s.Services {
		all[s.Services[i].Name] = conditionOf(s.Services[i].Status, s.Services[i].Admin.State)
	}
	all[""] = summary(s).condition()
	return &all
}
