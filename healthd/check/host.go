package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// A finding is one of the things that a check of this host looked at, in words, and how bad it is.
type finding struct {
	class  healthd.Class
	detail string
}

func fine(format string, args ...any) finding {
	return finding{healthd.OK, fmt.Sprintf(format, args...)}
}
func bad(format string, args ...any) finding {
	return finding{healthd.WrongAnswer, fmt.Sprintf(format, args...)}
}
func doubtful(format string, args ...any) finding {
	return finding{healthd.Degraded, fmt.Sprintf(format, args...)}
}

// unseen is something that could not be looked at, which accuses nobody.
func unseen(err error) finding { return finding{healthd.OwnFault, err.Error()} }

// badness orders classes as healthd.Worse orders statuses: what could not be seen is graver than a warning and milder than a failure.
func (f finding) badness() int {
	return slices.Index([]healthd.Class{healthd.OK, healthd.Degraded, healthd.OwnFault, healthd.TimedOut, healthd.WrongAnswer}, f.class)
}

// concluded makes one outcome of what was found: as bad as the worst, told first; where something is wrong, what is right is left out.
func concluded(start time.Time, found ...finding) healthd.Outcome {
	slices.SortStableFunc(found, func(a, b finding) int { return b.badness() - a.badness() })
	var told []string
	for _, f := range found {
		if f.class != healthd.OK || found[0].class == healthd.OK {
			told = append(told, f.detail)
		}
	}
	return healthd.NewOutcome(start, time.Since(start), found[0].class, strings.Join(told, "; "))
}

// notSeen is the outcome of a probe that met an error of this host, or ended with ctx: it accuses nobody.
func notSeen(ctx context.Context, start time.Time, err error) healthd.Outcome {
	if errors.Is(ctx.Err(), context.Canceled) {
		return concluded(start, finding{healthd.OwnFault, "cancelled"})
	}
	return concluded(start, unseen(err))
}

// limits are what a measurement is held against; NaN is no limit.
type limits struct{ warn, fail float64 }

// limitsOf reads two keys of a kind. They must be in order.
func limitsOf(s Settings, warn, fail string, read func(string) (float64, error)) (limits, error) {
	l := limits{math.NaN(), math.NaN()}
	for key, to := range map[string]*float64{warn: &l.warn, fail: &l.fail} {
		if !s.Has(key) {
			continue
		}
		n, err := read(s.Text(key))
		if err != nil {
			return l, KeyError{key, err}
		}
		*to = n
	}
	if l.warn > l.fail && s.byDefault(warn) {
		l.warn = math.NaN()
	}
	if l.warn > l.fail {
		return l, KeyError{warn, fmt.Errorf("is beyond %s, which is %s; it would never be seen", fail, s.Text(fail))}
	}
	return l, nil
}

// byDefault reports whether a key has the value that it would have anyway.
func (s Settings) byDefault(key string) bool {
	i := slices.IndexFunc(s.kind.Options, func(o Option) bool { return o.Key == key })
	return slices.Equal(s.Texts(key), s.kind.Options[i].Default)
}

// judge says how bad a value is that should not be above the limits. What tells the value; limits are told by show.
func (l limits) judge(value float64, what string, show func(float64) string) finding {
	switch {
	case value > l.fail:
		return bad("%s, fails above %s", what, show(l.fail))
	case value > l.warn && !math.IsNaN(l.fail):
		return doubtful("%s, warns above %s, fails above %s", what, show(l.warn), show(l.fail))
	case value > l.warn:
		return doubtful("%s, warns above %s", what, show(l.warn))
	}
	return fine("%s", what)
}

// judgeLeft says how bad a value is that should not be below the limits, which are given negated.
func (l limits) judgeLeft(left float64, what string, show func(float64) string) finding {
	f := l.judge(-left, what, func(n float64) string { return show(-n) })
	f.detail = strings.ReplaceAll(f.detail, "s above ", "s below ")
	return f
}

func (l limits) set() bool { return !math.IsNaN(l.warn) || !math.IsNaN(l.fail) }

func number(text string) (float64, error) {
	return strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
}

// percent is 91% or 91.4%, cut rather than rounded: 99.97 is not all.
func percent(n float64) string {
	return strconv.FormatFloat(math.Trunc(n*10)/10, 'f', -1, 64) + "%"
}

// share is part of whole in percent; of nothing it is 0.
func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * part / whole
}

func plainNumber(n float64) string { return strconv.FormatFloat(math.Trunc(n*100)/100, 'f', -1, 64) }

var byteUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// bytesText is 3.1 GiB.
func bytesText(n float64) string {
	unit := 0
	for ; n >= 1024 && unit < len(byteUnits)-1; unit++ {
		n /= 1024
	}
	if unit == 0 || n >= 100 {
		return fmt.Sprintf("%.0f %s", n, byteUnits[unit])
	}
	return fmt.Sprintf("%.1f %s", n, byteUnits[unit])
}

// parseBytes reads 4096, 500MiB, 1.5 GiB, 10G: units are powers of 1024, and those of 1000 (MB) are refused, since people mean either.
func parseBytes(text string) (float64, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err == nil && n >= 0 && n <= 1<<62 {
		for i, unit := range byteUnits {
			if word := text[len(digits):]; word == unit || word == unit[:1] || i == 0 && word == "" {
				return n * math.Pow(1024, float64(i)), nil
			}
		}
	}
	return 0, fmt.Errorf("%q is no size such as 500MiB or 2GiB", healthd.Line(text, 40))
}

// maxFile bounds what is read of a file of the kernel's.
const maxFile = 1 << 20

// readSmall reads a whole file of at most maxFile bytes.
func readSmall(path string) ([]byte, error) {
	raw, err := readPart(path, maxFile+1)
	if err == nil && len(raw) > maxFile {
		return nil, fmt.Errorf("read %s: it is longer than %d bytes", path, maxFile)
	}
	return raw, err
}

// readPart reads the first bytes of a file. A named pipe in its place does not make it wait.
func readPart(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	// It was only read: closing it cannot lose anything.
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return raw, nil
}

// procOption is where the files of the kernel are; another place is of use in a container, and to tests.
var procOption = Option{Key: "proc", Doc: "where the proc file system of the host is", Type: Path, Default: []string{"/proc"}}

// recently remembers when something was last seen, so that what lasts a moment is told for longer than one probe.
type recently struct {
	until time.Time
	what  string
}

func (r *recently) see(now time.Time, hold time.Duration, what string) {
	r.until, r.what = now.Add(hold), what
}

// seen is what is still to be told at now; empty for nothing.
func (r *recently) seen(now time.Time) string {
	if now.Before(r.until) {
		return r.what
	}
	return ""
}
