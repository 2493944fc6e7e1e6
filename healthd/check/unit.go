package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// unitKind asks systemd, over D-Bus, for the state of a unit.
var unitKind = Kind{
	Doc:         "a unit of systemd is active and is not started again and again",
	Target:      Option{Doc: "the name of the unit, such as app.service", Type: Text},
	Measurement: "restarts",
	Example:     "{unit: nginx.service, restarts_warn: 1}",
	Options: []Option{
		{Key: "state", Doc: "active states that pass: active, reloading, inactive, failed, activating, deactivating, maintenance, refreshing",
			Type: Text, List: true, Default: []string{"active", "reloading", "refreshing"}},
		{Key: "substate", Doc: "substates that pass, such as running, exited, listening, waiting; any by default", Type: Text, List: true},
		{Key: "restarts_warn", Doc: "warns where systemd had to start it again more than so many times in the window", Type: Int, Max: 1e6, Default: []string{"0"}},
		{Key: "restarts_fail", Doc: "fails where it had to more often", Type: Int, Max: 1e6},
		{Key: "window", Doc: "over which time the restarts are counted", Type: Duration, Min: 1, Max: 86400, Default: []string{"10m"}},
		{Key: "bus", Doc: "D-Bus address of systemd, unix:path= or unix:abstract=; tested with a stand-in for systemd on a real D-Bus", Type: Text, Default: []string{"unix:path=/run/dbus/system_bus_socket"}},
	},
	New: newUnit,
}

// unitRule is what a unit is held against.
type unitRule struct {
	name              string
	states, substates []string
	restarts          limits

	before  uint64 // restarts as the last probe read them
	counted bool
	recent  *window
}

// unitState is what systemd says of a unit: org.freedesktop.systemd1(5).
type unitState struct {
	load, active, sub string
	result            string // of a service: success, exit-code, signal, oom-kill, timeout, …
	restarts          uint64 // of a service: how often systemd started it again by itself since somebody started it
	isService         bool
}

func newUnit(s Settings) (Probe, error) {
	restarts, err := limitsOf(s, "restarts_warn", "restarts_fail", number)
	errs := []error{err}
	name := s.Target()
	if !isUnitName(name) {
		errs = append(errs, KeyError{Err: fmt.Errorf("%q is no name of a unit, such as app.service", healthd.Line(name, 80))})
	}
	if _, err := busPath(s.Text("bus")); err != nil {
		errs = append(errs, KeyError{"bus", err})
	}
	states := []string{"active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance", "refreshing"}
	for _, state := range s.Texts("state") {
		if !slices.Contains(states, state) {
			errs = append(errs, KeyError{"state", fmt.Errorf("%q is none of %s", healthd.Line(state, 40), strings.Join(states, ", "))})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r := &unitRule{name: name, states: s.Texts("state"), substates: s.Texts("substate"), restarts: restarts, recent: newWindow(s.Duration("window"))}
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		state, err := askSystemd(ctx, s.Text("bus"), name)
		if err != nil {
			return notSeen(ctx, start, fmt.Errorf("ask systemd for %s: %w", name, err))
		}
		found, restarts := r.judge(state, start)
		return concluded(start, found...).Measured(restarts, "count")
	}, nil
}

// isUnitName reports whether systemd takes the text for the name of a unit: systemd.unit(5).
func isUnitName(name string) bool {
	prefix, suffix, ok := strings.Cut(name, ".")
	return ok && prefix != "" && suffix != "" && len(name) < 256 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(`:-_.\@`, r)
	})
}

// judge gives what was found and the restarts within the window.
func (r *unitRule) judge(u unitState, now time.Time) (found []finding, restarts float64) {
	what := fmt.Sprintf("%s is %s (%s)", r.name, u.active, u.sub)
	if u.result != "" && u.result != "success" {
		what += ", result " + u.result
	}
	switch {
	case u.load != "loaded":
		found = append(found, bad("%s is not known to systemd: %s", r.name, u.load))
	case !slices.Contains(r.states, u.active):
		found = append(found, bad("%s, expected %s", what, strings.Join(r.states, " or ")))
	case len(r.substates) > 0 && !slices.Contains(r.substates, u.sub):
		found = append(found, bad("%s, expected %s", what, strings.Join(r.substates, " or ")))
	default:
		found = append(found, fine("%s", what))
	}
	if !u.isService {
		return found, 0
	}
	rose := 0
	if r.counted && u.restarts > r.before { // it begins at 0 again where somebody starts the unit
		rose = int(min(u.restarts-r.before, 1e6))
	}
	r.before, r.counted = u.restarts, true
	restarts = r.recent.total(now, rose)
	told := fmt.Sprintf("systemd had to start it again %s times in %s", plainNumber(restarts), shortDuration(r.recent.length))
	if f := r.restarts.judge(restarts, told, plainNumber); f.class != healthd.OK {
		found = append(found, f)
	}
	return found, restarts
}

// shortDuration is 10m, not 10m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if rest, ok := strings.CutSuffix(text, "m0s"); ok {
		text = rest + "m"
	}
	if rest, ok := strings.CutSuffix(text, "h0m"); ok {
		text = rest + "h"
	}
	return text
}
