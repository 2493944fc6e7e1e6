// Package check knows the kinds of check. Each is a function of (ctx, target, settings) without state: it makes one probe and says
// what it met. The caller bounds it by the deadline of ctx.
package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Settings of all kinds. A kind reads what is its own.
type Settings struct {
	Warn time.Duration // latency beyond which a right answer is degraded; 0 is never
	HTTP HTTP
}

// Kind is one kind of check.
type Kind struct {
	// Run makes one probe.
	Run func(ctx context.Context, target string, s Settings) healthd.Outcome
	// Validate says what is wrong with the target or the settings, before any probe.
	Validate func(target string, s Settings) error
	// Measurement is what the time it took is called in health+json.
	Measurement string
}

// kinds is the catalogue: a new kind is one file and one line here.
var kinds = map[string]Kind{
	"http": {Run: probeHTTP, Validate: validateHTTP, Measurement: "responseTime"},
	"tcp":  {Run: probeTCP, Validate: validateTCP, Measurement: "connectTime"},
}

// Find gives a kind by name.
func Find(name string) (Kind, error) {
	if k, ok := kinds[name]; ok {
		return k, nil
	}
	return Kind{}, fmt.Errorf("kind of check %q is none of %v", healthd.Line(name, 40), Names())
}

// Names are the names of all kinds, sorted.
func Names() []string { return slices.Sorted(maps.Keys(kinds)) }

// timed makes the outcome of a right answer.
func timed(start time.Time, s Settings, detail string) healthd.Outcome {
	took := time.Since(start)
	if s.Warn > 0 && took > s.Warn {
		return healthd.NewOutcome(start, took, healthd.Degraded,
			fmt.Sprintf("%s after %s, warned above %s", detail, took.Round(time.Microsecond*100), s.Warn))
	}
	return healthd.NewOutcome(start, took, healthd.OK, detail)
}
