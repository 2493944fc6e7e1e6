package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/healthd"
)

// clockKind looks for steps of the clock, and for how far it is off.
var clockKind = Kind{
	Doc:         "the clock of this host is kept in step, makes no steps, and agrees with a time server where one is named",
	Target:      Option{Doc: "which clock", Type: Word, Words: []string{"system"}},
	Measurement: "offset",
	Impact:      healthd.Degrade,
	Example:     "{clock: system, server: 127.0.0.1:123, offset_warn: 100ms}",
	Options: []Option{
		{Key: "step_warn", Doc: "warns where the clock was set by more than this from one check to the next", Type: Duration, Default: []string{"500ms"}},
		{Key: "step_fail", Doc: "fails where it was set by more than this", Type: Duration},
		{Key: "hold", Doc: "for how long after a step", Type: Duration, Min: 1, Max: 86400, Default: []string{"5m"}},
		{Key: "unsynchronised", Doc: "what it does that the kernel counts the clock as kept in step by nobody", Type: Word,
			Words: []string{"ignore", "warn", "fail"}, Default: []string{"warn"}},
		{Key: "server", Doc: "host:port of a time server (NTP) that is asked in each check; ask one of your own", Type: HostPort},
		{Key: "offset_warn", Doc: "warns where the clock is off by more than this", Type: Duration, Default: []string{"250ms"}},
		{Key: "offset_fail", Doc: "fails where it is off by more than this", Type: Duration, Default: []string{"5s"}},
	},
	New: newClock,
}

// clockRule is what the clock is held against.
type clockRule struct {
	step, offset limits // seconds
	hold         time.Duration
	unsync       healthd.Class // OK is ignore

	last    clockReading
	counted bool
	stepped map[healthd.Class]*recently
}

// clockReading is the wall clock beside one that nobody sets: time since boot, with suspends. Both are slewed alike by NTP, so that only
// steps tell them apart.
type clockReading struct {
	wall time.Duration // since 1970
	boot time.Duration
}

func newClock(s Settings) (Probe, error) {
	seconds := func(text string) (float64, error) {
		d, err := time.ParseDuration(text)
		return d.Seconds(), err
	}
	step, err := limitsOf(s, "step_warn", "step_fail", seconds)
	offset, err2 := limitsOf(s, "offset_warn", "offset_fail", seconds)
	server := s.Text("server")
	var err3 error
	for _, key := range []string{"offset_warn", "offset_fail"} {
		if server == "" && !s.byDefault(key) {
			err3 = KeyError{key, errors.New("needs server; without one nobody tells how far the clock is off")}
		}
	}
	if server != "" {
		if err3 = validateAddress(server); err3 != nil {
			err3 = KeyError{"server", err3}
		}
	}
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	r := newClockRule(step, offset, s.Duration("hold"))
	r.unsync = map[string]healthd.Class{"ignore": healthd.OK, "warn": healthd.Degraded, "fail": healthd.WrongAnswer}[s.Text("unsynchronised")]
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		reading, err := readClocks()
		if err != nil {
			return notSeen(ctx, start, err)
		}
		found := append(r.judgeStep(reading, start), r.judgeKept()...)
		if server == "" {
			return concluded(start, found...)
		}
		off, err := askTime(ctx, server)
		if err != nil {
			return concluded(start, append(found, unseen(fmt.Errorf("ask %s for the time: %w", server, err)))...)
		}
		return concluded(start, append(found, r.judgeOffset(off, server))...).Measured(off.Seconds(), "s")
	}, nil
}

func newClockRule(step, offset limits, hold time.Duration) *clockRule {
	return &clockRule{step: step, offset: offset, hold: hold, stepped: map[healthd.Class]*recently{healthd.Degraded: {}, healthd.WrongAnswer: {}}}
}

// judgeStep compares how far the two clocks went since the last reading. A step is told for a while. Now is for that while only: its
// monotonic part is not moved by the step itself.
func (r *clockRule) judgeStep(c clockReading, now time.Time) []finding {
	by := (c.wall - r.last.wall) - (c.boot - r.last.boot)
	if r.counted {
		what := fmt.Sprintf("the clock was set forward by %s", by.Round(time.Millisecond))
		if by < 0 {
			what = fmt.Sprintf("the clock was set back by %s", (-by).Round(time.Millisecond))
		}
		if f := r.step.judge(math.Abs(by.Seconds()), what, secondsText); f.class != healthd.OK {
			r.stepped[f.class].see(now, r.hold, f.detail)
		}
	}
	r.last, r.counted = c, true
	var found []finding
	for class, step := range r.stepped {
		if text := step.seen(now); text != "" {
			found = append(found, finding{class, text})
		}
	}
	if found == nil {
		found = append(found, fine("the clock made no step"))
	}
	return found
}

func secondsText(n float64) string {
	return (time.Duration(n*1e6) * time.Microsecond).String()
}

// judgeKept asks the kernel whether anybody keeps the clock in step: adjtimex(2).
func (r *clockRule) judgeKept() []finding {
	if r.unsync == healthd.OK {
		return nil
	}
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return []finding{unseen(fmt.Errorf("ask the kernel about the clock: %w", err))}
	}
	if t.Status&unix.STA_UNSYNC != 0 {
		return []finding{{r.unsync, "nobody keeps the clock in step: is chronyd, ntpd or systemd-timesyncd running?"}}
	}
	return []finding{fine("it is kept in step")}
}

// judgeOffset holds against the limits how far this clock is behind that of the server.
func (r *clockRule) judgeOffset(behind time.Duration, server string) finding {
	word := "behind"
	if behind < 0 {
		word = "ahead of"
	}
	off := behind.Abs()
	return r.offset.judge(off.Seconds(), fmt.Sprintf("the clock is %s %s %s", off.Round(10*time.Microsecond), word, server), secondsText)
}

// readClocks reads both clocks as nearly at once as it can: what interrupts it between the two would look like a step.
func readClocks() (best clockReading, err error) {
	read := func(id int32) (d time.Duration) {
		var t unix.Timespec
		if e := unix.ClockGettime(id, &t); e != nil {
			err = fmt.Errorf("read clock %d: %w", id, e)
		}
		return time.Duration(t.Nano())
	}
	shortest := time.Duration(math.MaxInt64)
	for range 5 {
		before := read(unix.CLOCK_BOOTTIME)
		wall := read(unix.CLOCK_REALTIME)
		took := read(unix.CLOCK_BOOTTIME) - before
		if took < shortest {
			shortest, best = took, clockReading{wall, before + took/2}
		}
	}
	return best, err
}
