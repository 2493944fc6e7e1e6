package check

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/healthd"
)

// recorded unpacks what a host once told of itself, below testdata/host, and gives the folder.
func recorded(t *testing.T, name string) string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/host/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range archive.Files {
		write(t, filepath.Join(dir, f.Name), string(f.Data))
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// prober makes a probe that keeps its state.
func prober(t *testing.T, kind string, target []string, o options) func() healthd.Outcome {
	t.Helper()
	p, err := New(kind, target, o)
	if err != nil {
		t.Fatal(err)
	}
	return func() healthd.Outcome {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return p(ctx)
	}
}

// sees fails the test unless the outcome is of the class and its detail contains the text.
func sees(t *testing.T, o healthd.Outcome, class healthd.Class, text string) {
	t.Helper()
	if o.Class != class || !strings.Contains(o.Detail, text) {
		t.Errorf("got %s: %q (%g %s), want %s with %q", o.Class, o.Detail, o.Value, o.Unit, class, text)
	}
}

func TestTheWorstFindingIsTheOutcome(t *testing.T) {
	now := time.Now()
	sees(t, concluded(now, fine("a"), fine("b")), healthd.OK, "a; b")
	o := concluded(now, fine("a"), doubtful("b"), bad("c"), unseen(context.Canceled))
	if sees(t, o, healthd.WrongAnswer, "c; context canceled; b"); strings.Contains(o.Detail, "a;") {
		t.Errorf("what is right is told beside what is wrong: %q", o.Detail)
	}
	sees(t, concluded(now, doubtful("b"), unseen(context.Canceled)), healthd.OwnFault, "context canceled; b")
}

// Whatever is measured and whatever the limits, more is never judged better, and what is beyond a limit names it.
func TestMoreIsNeverBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.OneOf(rapid.Just(math.NaN()), rapid.Float64Range(0, 100))
		l := limits{limit.Draw(t, "warn"), limit.Draw(t, "fail")}
		if l.warn > l.fail {
			l.warn = math.NaN()
		}
		a, b := rapid.Float64Range(0, 100).Draw(t, "a"), rapid.Float64Range(0, 100).Draw(t, "b")
		low, high := l.judge(min(a, b), "x", percent), l.judge(max(a, b), "x", percent)
		if low.badness() > high.badness() {
			t.Fatalf("%v is %v, but %v is %v", min(a, b), low, max(a, b), high)
		}
		if high.class == healthd.WrongAnswer && !strings.HasSuffix(high.detail, "fails above "+percent(l.fail)) {
			t.Fatalf("%q does not name the limit", high.detail)
		}
	})
}

func TestSizesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "4096": 4096, "1KiB": 1024, "500MiB": 500 << 20, "1.5 GiB": 1.5 * (1 << 30), "10G": 10 << 30, "12B": 12} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("parseBytes(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "GiB", "1MB", "-1", "1e400", "NaN", "1 G i", "0x10", "Inf"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("parseBytes(%q) = %v", text, got)
		}
	}
	for n, want := range map[float64]string{0: "0 B", 1023: "1023 B", 3.1 * (1 << 30): "3.1 GiB", 40 << 30: "40.0 GiB", 500 << 20: "500 MiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%v) = %q, want %q", n, got, want)
		}
	}
	if got := percent(99.97); got != "99.9%" {
		t.Errorf("99.97 is shown as %s", got)
	}
}

func TestLimitsOutOfOrderAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind, target string
		o            options
		want         string
	}{
		"beyond the default":       {"load", "1m", options{"warn": {"9"}}, "warn: is beyond fail, which is 8"},
		"a default gives way":      {"load", "1m", options{"fail": {"1"}}, ""},
		"free space":               {"disk", "/", options{"free_warn": {"1GiB"}, "free_fail": {"2GiB"}}, "free_warn: is beyond free_fail"},
		"free space, in order":     {"disk", "/", options{"free_warn": {"2GiB"}, "free_fail": {"1GiB"}}, ""},
		"a size":                   {"disk", "/", options{"free_fail": {"much"}}, "free_fail: \"much\" is no size"},
		"age of nothing":           {"file", "/x", options{"exists": {"false"}, "max_age": {"1s"}}, "neither an age nor a size"},
		"a cgroup of the host":     {"memory", "host", options{"cgroup": {"/sys/fs/cgroup"}}, "memory: cgroup only"},
		"pressure without order":   {"memory", "host", options{"full_warn": {"20%"}, "full_fail": {"10%"}}, "full_warn: is beyond"},
		"a window that is not one": {"load", "2m", nil, "none of 1m, 5m, 15m"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.kind, []string{c.target}, c.o)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A call that never returns is left behind once; as long as it hangs, no second one is begun, and once it returns all is well.
func TestAtMostOneCallHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p patient[int]
		var calls atomic.Int32
		release := make(chan int)
		ask := func() (int, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return p.call(ctx, func() int { calls.Add(1); return <-release })
		}
		for range 5 {
			if _, err := ask(); err != context.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls hang", n)
		}
		release <- 1
		time.AfterFunc(time.Millisecond, func() { release <- 2 })
		if got, err := ask(); got != 2 || err != nil || calls.Load() != 2 {
			t.Errorf("got %d, %v after %d calls; want the answer to the second call", got, err, calls.Load())
		}
	})
}
