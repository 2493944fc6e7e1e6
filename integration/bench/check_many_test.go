package bench

import (
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

const (
	manyChecks   = 10000
	manyInterval = 5 * time.Second
	manySettle   = 6 * manyInterval // the first two rounds are not on the beat, and memory takes a while to be what it stays
	manyRun      = time.Minute      // unless LBMEDIC_BENCH_MANY says otherwise, such as 1h
	manyStretch  = time.Minute      // of which the beats are written down
	manyLate     = 50 * time.Millisecond
	manyRSS      = 150.0 // MB
	manyGrowth   = 1.10  // of the memory at the end over that at the start, each the greatest of a tenth of the run
)

// TestBenchManyChecks runs 10,000 checks at 5 s in one sidecar, beside the server that they ask, and looks at the beat as that
// server sees it: a check that starts when it should arrives a whole number of intervals after its earliest arrival.
func TestBenchManyChecks(t *testing.T) {
	asked(t)
	run := manyRun
	if text := os.Getenv("LBMEDIC_BENCH_MANY"); text != "" {
		var err error
		if run, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	g := newTarget(t, 1)
	lbmedic := sidecar(t, program(t), g.ports[0], manyChecks, "interval: 5s, timeout: 2s")
	pass(manySettle)

	spent, begun := cpuOf(t, lbmedic), time.Now()
	n := g.counts()[0]
	g.ask("/record", nil)
	var rss []float64
	var beats map[string][]int64
	for time.Since(begun) < run {
		pass(time.Second)
		rss = append(rss, rssOf(t, lbmedic))
		if beats == nil && time.Since(begun) >= min(run, manyStretch) {
			g.ask("/arrivals", &beats)
		}
	}
	took := time.Since(begun)
	rate := float64(g.counts()[0]-n) / took.Seconds()
	late, missed := lateness(beats)
	tenth := max(1, len(rss)/10)
	first, last := slices.Max(rss[:tenth]), slices.Max(rss[len(rss)-tenth:])
	p99 := late[len(late)*99/100]
	t.Logf("%d checks at %s on %d cores: %.0f checks a second, %.0f%% of one core; start error p50 %s, p99 %s, worst %s of %d beats, %d missed; RSS %.0f MB at first, %.0f MB in the end, %.0f MB at most, over %s",
		manyChecks, manyInterval, runtime.NumCPU(), rate, 100*(cpuOf(t, lbmedic)-spent).Seconds()/took.Seconds(),
		late[len(late)/2], p99, late[len(late)-1], len(late), missed, first, last, slices.Max(rss), took.Round(time.Second))
	if len(beats) != manyChecks {
		t.Errorf("%d checks came, not %d", len(beats), manyChecks)
	}
	if p99 > manyLate {
		t.Errorf("start error p99 %s is over %s", p99, manyLate)
	}
	if missed > len(late)/1000 {
		t.Errorf("%d of %d beats were missed", missed, len(late))
	}
	if most := slices.Max(rss); most > manyRSS {
		t.Errorf("%.0f MB are over %.0f MB", most, manyRSS)
	}
	if last > first*manyGrowth {
		t.Errorf("memory grew from %.0f to %.0f MB", first, last)
	}
}

// lateness is how long after its beat each arrival was, sorted, and how many beats had none. The beat of a path is the earliest
// that its arrivals allow, so that nothing is taken off what was late.
func lateness(beats map[string][]int64) (late []time.Duration, missed int) {
	for _, at := range beats {
		slices.Sort(at)
		beat := func(i int) int64 { return (at[i] - at[0] + int64(manyInterval)/2) / int64(manyInterval) }
		phase := at[0]
		for i := range at {
			phase = min(phase, at[i]-beat(i)*int64(manyInterval))
		}
		for i := range at {
			late = append(late, time.Duration(at[i]-beat(i)*int64(manyInterval)-phase))
		}
		missed += int(beat(len(at)-1)) + 1 - len(at)
	}
	slices.Sort(late)
	return late, missed
}

// A start error is found, whichever of the arrivals was late.
func TestLatenessIsSeenFromTheEarliestBeat(t *testing.T) {
	s, ms := int64(time.Second), int64(time.Millisecond)
	late, missed := lateness(map[string][]int64{
		"first late":   {1*s + 40*ms, 6 * s, 11 * s},
		"last late":    {2 * s, 7 * s, 12*s + 30*ms},
		"one left out": {3 * s, 8 * s, 18 * s},
		"drifting":     {1 * s, 6*s + 10*ms, 11*s + 20*ms},
	})
	want := []time.Duration{0, 0, 0, 0, 0, 0, 0, 0, 10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 40 * time.Millisecond}
	if !slices.Equal(late, want) || missed != 1 {
		t.Errorf("%v, %d missed", late, missed)
	}
}
