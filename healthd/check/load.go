package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// loadKind holds the load of this host, per core, against limits.
var loadKind = Kind{
	Doc:         "the load per core of this host, and the pressure on its processors, are within limits",
	Target:      Option{Doc: "over which time the load is averaged", Type: Word, Words: []string{"1m", "5m", "15m"}},
	Measurement: "load",
	Impact:      healthd.Degrade,
	Example:     "{load: 5m, warn: 2, fail: 8, some_warn: 60%}",
	Options: slices.Concat([]Option{
		{Key: "warn", Doc: "warns above this load per core", Type: Number, Default: []string{"2"}},
		{Key: "fail", Doc: "fails above this load per core", Type: Number, Default: []string{"8"}},
		procOption,
	}, pressureOptions),
	New: func(s Settings) (Probe, error) {
		per, err := limitsOf(s, "warn", "fail", number)
		cpu, err2 := pressureRuleOf(s, "a processor")
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		window := slices.Index([]string{"1m", "5m", "15m"}, s.Target())
		return func(ctx context.Context) healthd.Outcome {
			start := time.Now()
			load, cores, err := readLoad(s.Text("proc"))
			if err != nil {
				return notSeen(ctx, start, err)
			}
			each := load[window] / float64(cores)
			what := fmt.Sprintf("load %s over %s on %d cores, %s per core", plainNumber(load[window]), s.Target(), cores, plainNumber(each))
			found := append([]finding{per.judge(each, what, plainNumber)}, cpu.judge(filepath.Join(s.Text("proc"), "pressure/cpu"))...)
			return concluded(start, found...).Measured(each, "count")
		}, nil
	},
}

// readLoad gives the averages over 1, 5 and 15 minutes, and how many cores are on line: those of the host, not those that this process may
// run on.
func readLoad(proc string) (load [3]float64, cores int, err error) {
	raw, err := readSmall(filepath.Join(proc, "loadavg"))
	if err != nil {
		return load, 0, err
	}
	if load, err = parseLoad(string(raw)); err != nil {
		return load, 0, err
	}
	if raw, err = readSmall(filepath.Join(proc, "stat")); err != nil {
		return load, 0, err
	}
	for line := range bytes.Lines(raw) {
		if len(line) > 3 && string(line[:3]) == "cpu" && line[3] >= '0' && line[3] <= '9' {
			cores++
		}
	}
	return load, max(cores, 1), nil
}

// parseLoad reads /proc/loadavg: 0.20 0.18 0.12 1/80 11206.
func parseLoad(text string) (load [3]float64, err error) {
	fields := strings.Fields(text)
	if len(fields) < len(load) {
		return load, errors.New("/proc/loadavg has no three averages")
	}
	for i := range load {
		if load[i], err = strconv.ParseFloat(fields[i], 64); err != nil || !(load[i] >= 0 && load[i] < 1e9) {
			return load, fmt.Errorf("/proc/loadavg: %q is no load", healthd.Line(fields[i], 40))
		}
	}
	return load, nil
}
