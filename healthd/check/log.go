package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/tail"
)

// logKind counts the lines of a log that match a pattern.
var logKind = Kind{
	Doc:         "no more lines of a log match a pattern than may in a minute",
	Target:      Option{Doc: "the log; what is in it when lbmedic starts is not counted", Type: Path},
	Measurement: "rate",
	Impact:      healthd.Degrade,
	Example:     "{log: /var/log/app.log, pattern: '(?i)panic|out of memory', fail: 10}",
	Options: []Option{
		{Key: "pattern", Doc: "what a line must match to be counted, as RE2 has it", Type: Text},
		{Key: "ignore", Doc: "what a line that matches must not match", Type: Text},
		{Key: "window", Doc: "over which time the rate is taken", Type: Duration, Min: 1, Max: 3600, Default: []string{"1m"}},
		{Key: "warn", Doc: "warns above this many lines a minute", Type: Number, Default: []string{"0"}},
		{Key: "fail", Doc: "fails above this many", Type: Number},
		{Key: "max_line", Doc: "bytes of a line that are looked at", Type: Int, Min: 16, Max: 65536, Default: []string{"4096"}},
	},
	New: newLog,
}

func newLog(s Settings) (Probe, error) {
	rate, err := limitsOf(s, "warn", "fail", number)
	pattern, err2 := compile(s, "pattern")
	ignore, err3 := compile(s, "ignore")
	if err2 == nil && pattern == nil {
		err2 = KeyError{"pattern", errors.New("is missing; say which lines are counted")}
	}
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	matches := func(line []byte) bool { return pattern.Match(line) && (ignore == nil || !ignore.Match(line)) }
	follow := &tail.Tail{Path: s.Target(), Line: s.Int("max_line"), Read: 256 << 10} // after which the time is looked at
	counted := newWindow(s.Duration("window"))
	example := ""
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		n, behind, err := countLines(ctx, follow, matches, &example)
		if err != nil {
			return notSeen(ctx, start, fmt.Errorf("read %s: %w", s.Target(), err))
		}
		perMinute := counted.add(start, n)
		what := fmt.Sprintf("%s lines a minute of %s match", plainNumber(perMinute), s.Target())
		f := rate.judge(perMinute, what, plainNumber)
		if f.class != healthd.OK && example != "" {
			f.detail += ", the last: " + example
		}
		found := []finding{f}
		if behind {
			found = append(found, doubtful("%s is written faster than it can be read here", s.Target()))
		}
		if _, err := os.Stat(s.Target()); errors.Is(err, fs.ErrNotExist) {
			found = append(found, unseen(fmt.Errorf("%s is not there", s.Target())))
		}
		return concluded(start, found...).Measured(perMinute, "/min")
	}, nil
}

func compile(s Settings, key string) (*regexp.Regexp, error) {
	if !s.Has(key) {
		return nil, nil
	}
	re, err := regexp.Compile(s.Text(key))
	if err != nil {
		return nil, KeyError{key, fmt.Errorf("is no pattern: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))}
	}
	return re, nil
}

// countLines reads what is new for at most half of the time that is left, and counts the lines that match; behind is true where it did not
// come to the end.
func countLines(ctx context.Context, follow *tail.Tail, matches func([]byte) bool, example *string) (n int, behind bool, err error) {
	until := time.Now().Add(time.Second)
	if deadline, ok := ctx.Deadline(); ok {
		until = time.Now().Add(time.Until(deadline) / 2)
	}
	for more := true; more; {
		more, err = follow.Next(func(line []byte) {
			if matches(line) {
				n++
				*example = healthd.Line(string(line), 80)
			}
		})
		if err != nil {
			return n, false, err
		}
		if more && (ctx.Err() != nil || time.Now().After(until)) {
			return n, true, nil
		}
	}
	return n, false, nil
}
