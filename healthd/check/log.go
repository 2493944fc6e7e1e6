package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"regexp/syntax"
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
	reader := &logReader{pattern: pattern, ignore: ignore, follow: &tail.Tail{Path: s.Target(), Line: s.Int("max_line")}}
	counted, before := newWindow(s.Duration("window")), 0
	var kernel patient[logSeen]
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		seen, err := kernel.call(ctx, func() logSeen { return reader.read(ctx) })
		switch {
		case err != nil:
			return notSeen(ctx, start, fmt.Errorf("%s was not read in time: its file system hangs, or a pattern takes long", s.Target()))
		case seen.err != nil:
			return notSeen(ctx, start, fmt.Errorf("read %s: %w", s.Target(), seen.err))
		}
		perMinute := counted.add(start, seen.total-before)
		before = seen.total
		what := fmt.Sprintf("%s lines a minute of %s match", plainNumber(perMinute), s.Target())
		f := rate.judge(perMinute, what, plainNumber)
		if f.class != healthd.OK && seen.example != "" {
			f.detail += ", the last: " + seen.example
		}
		found := []finding{f}
		if seen.behind {
			found = append(found, doubtful("%s is written faster than it can be read here", s.Target()))
		}
		if seen.absent {
			found = append(found, unseen(fmt.Errorf("%s is not there", s.Target())))
		}
		return concluded(start, found...).Measured(perMinute, "/min")
	}, nil
}

func compile(s Settings, key string) (*regexp.Regexp, error) {
	if !s.Has(key) {
		return nil, nil
	}
	re, err := compilePattern(s.Text(key))
	if err != nil {
		return nil, KeyError{key, err}
	}
	return re, nil
}

// maxProgram bounds how long a pattern may become once its repetitions are written out. Looking at a byte takes as long as the program is, in
// the worst case.
const maxProgram = 2000

// compilePattern compiles a pattern that holds nobody up.
func compilePattern(text string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("is no pattern: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, fmt.Errorf("is no pattern: %w", err)
	}
	if n := len(program.Inst); n > maxProgram {
		return nil, fmt.Errorf("becomes a program of %d steps, more than %d; repeat less, x{1,9} rather than x{1,900}", n, maxProgram)
	}
	return regexp.Compile(text)
}

// logReader counts what matches in a log. It goes on from where it was, also where the probe that began a read has ended meanwhile.
type logReader struct {
	pattern, ignore *regexp.Regexp // ignore: nil for none
	follow          *tail.Tail
	total           int // lines that matched since the start
	example         string
}

// logSeen is what a read found.
type logSeen struct {
	total   int
	example string // the last line that matched
	behind  bool   // it did not come to the end
	absent  bool
	err     error
}

// read reads what is new for at most half of the time that is left; after each line it looks at the clock.
func (r *logReader) read(ctx context.Context) (seen logSeen) {
	until := time.Now().Add(time.Second)
	if deadline, ok := ctx.Deadline(); ok {
		until = time.Now().Add(time.Until(deadline) / 2)
	}
	r.follow.Stop = func() bool { return ctx.Err() != nil || time.Now().After(until) }
	for more := true; more && seen.err == nil && !seen.behind; {
		more, seen.err = r.follow.Next(func(line []byte) {
			if r.pattern.Match(line) && (r.ignore == nil || !r.ignore.Match(line)) {
				r.total++
				r.example = healthd.Line(string(line), 80)
			}
		})
		seen.behind = more && r.follow.Stop()
	}
	_, err := os.Stat(r.follow.Path)
	seen.total, seen.example, seen.absent = r.total, r.example, errors.Is(err, fs.ErrNotExist)
	return seen
}
