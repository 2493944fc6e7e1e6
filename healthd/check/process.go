package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// processKind counts the processes of a program.
var processKind = Kind{
	Doc:         "as many processes of a program run as should",
	Target:      Option{Doc: "the name of the program, as ps shows it", Type: Text},
	Measurement: "processes",
	Example:     "{process: nginx, min: 2, user: www-data}",
	Options: slices.Concat(processOptions, []Option{
		{Key: "min", Doc: "fails below this many", Type: Int, Max: 1e6, Default: []string{"1"}},
		{Key: "max", Doc: "fails above this many; 0 for any", Type: Int, Max: 1e6, Default: []string{"0"}},
	}),
	New: func(s Settings) (Probe, error) {
		q, err := processQueryOf(s, s.Target())
		if err != nil {
			return nil, err
		}
		least, most := s.Int("min"), s.Int("max")
		if most != 0 && most < least {
			return nil, KeyError{"max", fmt.Errorf("is less than min, which is %d", least)}
		}
		var census processCensus
		return func(ctx context.Context) healthd.Outcome {
			start := time.Now()
			why := ""
			all, blind, err := q.find(ctx)
			if lost, ok := errors.AsType[processLost](err); ok {
				err, why = nil, string(lost)
			}
			if err == nil && running(all) < least {
				err = blind
			}
			if err != nil {
				return notSeen(ctx, start, err)
			}
			return concluded(start, census.judge(q.name, all, least, most, why)...).Measured(float64(running(all)), "count")
		}, nil
	},
}

// processCensus remembers who waited in the kernel at the last probe: everybody does for a moment.
type processCensus struct{ waiting map[processID]bool }

// judge says what the processes found come to; lost says why there are none where that is known.
func (c *processCensus) judge(name string, all []process, least, most int, lost string) []finding {
	n := running(all)
	what := fmt.Sprintf("%d %s running", n, name)
	if n == 0 {
		what = cmp.Or(lost, "no "+name+" is running")
	}
	var found []finding
	switch {
	case n < least && n == 0:
		found = append(found, bad("%s", what))
	case n < least:
		found = append(found, bad("%s, fails below %d", what, least))
	case most > 0 && n > most:
		found = append(found, bad("%s, fails above %d", what, most))
	default:
		found = append(found, fine("%s", what+pids(all, process.runs)))
	}
	if some := pids(all, process.zombie); some != "" {
		found = append(found, doubtful("%s ended, but nobody asked how: zombies%s", name, some))
	}
	if some := pids(all, process.stopped); some != "" {
		found = append(found, doubtful("%s stopped by a signal%s", name, some))
	}
	before := c.waiting
	c.waiting = map[processID]bool{}
	for _, p := range all {
		if p.waits() {
			c.waiting[p.processID] = true
		}
	}
	if some := pids(all, func(p process) bool { return p.waits() && before[p.processID] }); some != "" {
		found = append(found, doubtful("%s hangs in the kernel (state D)%s, as on a disk or network file system that does not answer", name, some))
	}
	return found
}

func running(all []process) (n int) {
	for _, p := range all {
		if p.runs() {
			n++
		}
	}
	return n
}

// pids is " (12, 14, 15 and 7 more)", or nothing where there are none.
func pids(all []process, which func(process) bool) string {
	const shown = 5
	var some []string
	for _, p := range all {
		if which(p) {
			some = append(some, strconv.Itoa(p.pid))
		}
	}
	if len(some) == 0 {
		return ""
	}
	if more := len(some) - shown; more > 0 {
		return fmt.Sprintf(" (%s and %d more)", strings.Join(some[:shown], ", "), more)
	}
	return " (" + strings.Join(some, ", ") + ")"
}
