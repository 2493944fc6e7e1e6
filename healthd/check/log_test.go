package check

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/tail"
)

func logTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLinesOfALogAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "app.log")
		logTo(t, path, strings.Repeat("panic: of yesterday\n", 100))
		probe := prober(t, "log", []string{path}, options{"pattern": {"panic|error"}, "ignore": {"error budget"}, "warn": {"2"}, "fail": {"5"}})
		sees(t, probe(), healthd.OK, "0 lines a minute of "+path+" match")
		logTo(t, path, "all is well\nerror: one\nerror budget: plenty\npanic: tw")
		o := probe()
		sees(t, o, healthd.OK, "1 lines a minute")
		if o.Value != 1 || o.Unit != "/min" {
			t.Errorf("measured %g %s", o.Value, o.Unit)
		}
		logTo(t, path, "o\npanic: three\x1b[31m\n")
		sees(t, probe(), healthd.Degraded, `3 lines a minute of `+path+` match, warns above 2, fails above 5, the last: panic: three\x1b[31m`)
		time.Sleep(30 * time.Second)
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		logTo(t, path+".1", "error: to the old one\n")
		logTo(t, path, "error: to the new one\nerror\n")
		sees(t, probe(), healthd.WrongAnswer, "6 lines a minute")
		time.Sleep(35 * time.Second)
		sees(t, probe(), healthd.Degraded, "3 lines a minute")
		time.Sleep(time.Minute)
		sees(t, probe(), healthd.OK, "0 lines a minute")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		sees(t, probe(), healthd.OwnFault, "app.log is not there")
	})
}

func TestALogThatIsWrittenTooFastIsSaidSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	logTo(t, path, "")
	r := &logReader{pattern: regexp.MustCompile("x"), follow: &tail.Tail{Path: path}}
	if seen := r.read(t.Context()); seen.behind || seen.err != nil {
		t.Fatal(seen)
	}
	logTo(t, path, strings.Repeat("xx\n", 1000))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if seen := r.read(over); !seen.behind || seen.total != 1 || seen.err != nil {
		t.Errorf("with no time left: %+v", seen)
	}
	if seen := r.read(t.Context()); seen.behind || seen.total != 1000 || seen.example != "xx" {
		t.Errorf("with time: %+v", seen)
	}
}

func TestPatternsAreValidated(t *testing.T) {
	for want, o := range map[string]options{
		"pattern: is missing":           nil,
		"pattern: is no pattern: missi": {"pattern": {"("}},
		"ignore: is no pattern: invali": {"pattern": {"x"}, "ignore": {"(?=x)"}},
		"warn: is beyond fail":          {"pattern": {"x"}, "warn": {"5"}, "fail": {"1"}},
	} {
		if _, err := New("log", []string{"/var/log/app.log"}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// The window holds all that happened in eleven twelfths of it, and nothing older than itself.
func TestTheWindowForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "length")
		w := newWindow(length)
		type event struct {
			at time.Time
			n  int
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var events []event
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(length/3)).Draw(t, "gap")))
			e := event{now, rapid.IntRange(0, 9).Draw(t, "n")}
			events = append(events, e)
			got := w.add(now, e.n) * length.Minutes()
			least, most := 0, 0
			for _, e := range events {
				if age := now.Sub(e.at); age < length {
					most += e.n
					if age <= length*11/12 {
						least += e.n
					}
				}
			}
			if got < float64(least)-0.001 || got > float64(most)+0.001 {
				t.Fatalf("counts %g, want from %d to %d", got, least, most)
			}
		}
	})
}

// A pattern whose program is long would take seconds for one line.
func TestAPatternThatGrowsTooLongIsRefused(t *testing.T) {
	for _, pattern := range []string{`(?i)((a|b|ab|ba){1,30}c{1,30}){1,20}x{1,900}z$`, `(x?){900}(x?){90}y`} {
		for kind, o := range map[string]options{"log": {"pattern": {pattern}}, "tcp": {"match": {pattern}}} {
			target := map[string]string{"log": "/var/log/app.log", "tcp": "127.0.0.1:1"}[kind]
			if _, err := New(kind, []string{target}, o); err == nil || !strings.Contains(err.Error(), "steps, more than 2000") {
				t.Errorf("%s %s: %v", kind, pattern, err)
			}
		}
	}
	for _, pattern := range []string{`(?i)panic|out of memory`, `^\d{4}-\d{2}-\d{2}T[0-9:.]{8,15}Z (ERROR|FATAL) .*timeout`, `x{1,900}`} {
		if _, err := compilePattern(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// The slowest pattern on the longest lines ends with the deadline, and what was not looked at yet is counted later.
func TestASlowPatternEndsInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	logTo(t, path, "")
	p, err := New("log", []string{path}, options{"pattern": {`(x?){300}y`}, "max_line": {"16384"}})
	if err != nil {
		t.Fatal(err)
	}
	look := func(timeout time.Duration) healthd.Outcome {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		return p(ctx)
	}
	look(time.Second)
	const lines = 6
	logTo(t, path, strings.Repeat(strings.Repeat("x", 16<<10)+"y\n", lines)+strings.Repeat("xy\n", 30))
	for start := time.Now(); ; {
		begun := time.Now()
		o := look(200 * time.Millisecond)
		if took := time.Since(begun); took > time.Second {
			t.Fatalf("the probe took %s of 200ms", took)
		}
		if o.Value == 30 {
			break
		}
		if time.Since(start) > 50*time.Second {
			t.Fatalf("not all was read: %s %q", o.Class, o.Detail)
		}
	}
}
