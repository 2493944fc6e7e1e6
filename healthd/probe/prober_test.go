package probe

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notebook writes down what is reported.
type notebook struct {
	mu  sync.Mutex
	got []healthd.Outcome
}

func (n *notebook) Report(_, _ string, o healthd.Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, o)
}

func (n *notebook) outcomes() []healthd.Outcome {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]healthd.Outcome(nil), n.got...)
}

func passes(context.Context) healthd.Outcome {
	return healthd.NewOutcome(time.Now(), time.Millisecond, healthd.OK, "status 200")
}

// running starts something that blocks, and returns what stops it and waits for its end.
func running(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
}

func TestProbesKeepTheBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notebook
		start := time.Now()
		stop := running(t, NewProbers([]Service{{Name: "web", Checks: []Check{{Name: "app", Interval: 2 * time.Second, Probe: passes}}}}, &n).Run)
		time.Sleep(time.Minute)
		stop()
		got := n.outcomes()
		if first := got[0].At.Sub(start); first > firstWithin {
			t.Errorf("the first probe came after %s", first)
		}
		if second := got[1].At.Sub(got[0].At); second < time.Second || second > 3*time.Second {
			t.Errorf("the second %s after the first", second)
		}
		for i := 2; i < len(got); i++ {
			if gap := got[i].At.Sub(got[i-1].At); gap != 2*time.Second {
				t.Errorf("probe %d came %s after the one before", i, gap)
			}
		}
		if len(got) < 29 || len(got) > 32 {
			t.Errorf("%d probes in a minute", len(got))
		}
	})
}

// The phases of many checks of the same interval, on one host or on many, are spread evenly over it.
func TestProbesOfManyChecksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const checks, interval = 1000, time.Second
		svc := Service{Name: "web"}
		var mu sync.Mutex
		tenths := map[int64]int{}
		settled := time.Now().Add(5 * time.Second)
		for range checks {
			svc.Checks = append(svc.Checks, Check{Name: "c", Interval: interval, Probe: func(ctx context.Context) healthd.Outcome {
				if now := time.Now(); now.After(settled) && now.Before(settled.Add(interval)) {
					mu.Lock()
					tenths[now.Sub(settled).Milliseconds()/100]++
					mu.Unlock()
				}
				return passes(ctx)
			}})
		}
		stop := running(t, NewProbers([]Service{svc}, &notebook{}).Run)
		time.Sleep(7 * time.Second)
		stop()
		for tenth := range int64(10) {
			if n := tenths[tenth]; n < checks/20 || n > checks/5 { // 100 are expected; five standard deviations are 47
				t.Errorf("%d of %d probes in the tenth %d of the interval: %v", n, checks, tenth, tenths)
			}
		}
	})
}

// Many checks start together with those due at nearly the same time; a few start when they are due.
func TestOnlyManyChecksWaitForEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		checks         int
		interval, most time.Duration
	}{
		"a few":                   {20, time.Second, 0},
		"many":                    {2000, time.Second, together},
		"many at short intervals": {200, 20 * time.Millisecond, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				svc := Service{Name: "web"}
				started := make([][]time.Time, c.checks)
				for i := range started {
					svc.Checks = append(svc.Checks, Check{Name: "c", Interval: c.interval, Probe: func(ctx context.Context) healthd.Outcome {
						started[i] = append(started[i], time.Now()) // one is in flight
						return passes(ctx)
					}})
				}
				stop := running(t, NewProbers([]Service{svc}, &notebook{}).Run)
				time.Sleep(20*c.interval + firstWithin)
				stop()
				moments := map[time.Time]bool{}
				for i, at := range started {
					at = at[2:]
					for j := range at {
						off := at[j].Sub(at[0]) - time.Duration(j)*c.interval
						if off < -c.most || off > c.most {
							t.Fatalf("probe %d of check %d is off its beat by %s", j, i, off)
						}
						moments[at[j]] = true
					}
				}
				if together := len(moments) < len(started)*5; together != (c.most > 0) {
					t.Errorf("%d checks started at %d moments", c.checks, len(moments))
				}
			})
		})
	}
}

// The first round of many checks is spread over a time that grows with them, and over no more than that and the last to start together.
func TestFirstRoundOfManyChecksIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const checks = 2000
		svc := Service{Name: "web"}
		for range checks {
			svc.Checks = append(svc.Checks, Check{Name: "c", Interval: 10 * time.Second, Probe: passes})
		}
		var n notebook
		start := time.Now()
		stop := running(t, NewProbers([]Service{svc}, &n).Run)
		time.Sleep(firstWithin + checks*firstEach + together)
		stop()
		got := n.outcomes()
		late := 0
		for _, o := range got {
			if o.At.Sub(start) > firstWithin {
				late++
			}
		}
		if len(got) != checks || late < checks/2 {
			t.Errorf("%d of %d were probed in the first round, %d of them later than a few would be", len(got), checks, late)
		}
	})
}

// A host that slept takes the beat up again where it is, and makes up for nothing.
func TestMissedBeatsAreSkipped(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct{ now, want time.Duration }{
		"in time":           {0, 2 * time.Second},
		"a little late":     {time.Second, 2 * time.Second},
		"a beat late":       {2*time.Second + 1, 4 * time.Second},
		"after an hour":     {time.Hour + time.Second, time.Hour + 2*time.Second},
		"a clock set back":  {-time.Hour, 2 * time.Second},
		"on a later beat":   {4 * time.Second, 6 * time.Second},
		"at the next beat ": {2 * time.Second, 2 * time.Second},
	} {
		due := &turn{next: start, step: 2 * time.Second, check: Check{Interval: 2 * time.Second}}
		if due.advance(start.Add(c.now)); due.next.Sub(start) != c.want {
			t.Errorf("%s: next after %s, want %s", name, due.next.Sub(start), c.want)
		}
	}
}

func TestProbesDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inFlight, most, made atomic.Int32
		slow := func(context.Context) healthd.Outcome { // heeds no deadline
			most.Store(max(most.Load(), inFlight.Add(1)))
			time.Sleep(3500 * time.Millisecond)
			inFlight.Add(-1)
			made.Add(1)
			return passes(t.Context())
		}
		stop := running(t, NewProbers([]Service{{Name: "web", Checks: []Check{{Name: "app", Interval: time.Second, Probe: slow}}}}, &notebook{}).Run)
		time.Sleep(time.Minute)
		stop()
		time.Sleep(4 * time.Second) // the last one heeds no stop either
		if most.Load() != 1 {
			t.Errorf("%d in flight at once", most.Load())
		}
		if n := made.Load(); n < 13 || n > 17 {
			t.Errorf("%d probes of 3.5 s in a minute", n)
		}
	})
}

func TestProbeIsBoundedByItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notebook
		hang := func(ctx context.Context) healthd.Outcome {
			start := time.Now()
			<-ctx.Done()
			return healthd.NewOutcome(start, time.Since(start), healthd.TimedOut, "no answer in time")
		}
		stop := running(t, NewProbers([]Service{{Name: "web", Checks: []Check{
			{Name: "a", Interval: 4 * time.Second, Timeout: 300 * time.Millisecond, Probe: hang},
			{Name: "b", Interval: 300 * time.Millisecond, Timeout: time.Hour, Probe: hang}, // never longer than the interval
		}}}, &n).Run)
		time.Sleep(3 * time.Second)
		stop()
		for _, o := range n.outcomes() {
			if o.Took != 300*time.Millisecond {
				t.Errorf("took %s", o.Took)
			}
		}
		if len(n.outcomes()) < 3 {
			t.Errorf("%d outcomes", len(n.outcomes()))
		}
	})
}

func TestStopReportsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notebook
		begun := make(chan bool, 1)
		cut := func(ctx context.Context) healthd.Outcome {
			begun <- true
			<-ctx.Done()
			return healthd.NewOutcome(time.Now(), 0, healthd.TimedOut, "cut short by the stop")
		}
		stop := running(t, NewProbers([]Service{{Name: "web", Checks: []Check{{Name: "app", Interval: time.Hour, Timeout: time.Hour, Probe: cut}}}}, &n).Run)
		<-begun
		stop()
		if got := n.outcomes(); len(got) != 0 {
			t.Errorf("reported %+v", got)
		}
	})
}

// A probe in a system call that nothing interrupts: its check fails, the others go on, and neither a stop nor a reload waits for it or adds another.
func TestProbeThatNeverReturnsTimesOutAndStaysTheOnlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, hung := make(chan bool), atomic.Int32{}
		stuck := func(context.Context) healthd.Outcome {
			hung.Add(1)
			<-release
			return passes(t.Context())
		}
		services := []Service{{Name: "web", Checks: []Check{
			{Name: "stuck", Interval: 2 * time.Second, Probe: stuck},
			{Name: "app", Interval: 2 * time.Second, Probe: passes},
		}}}
		var n notebook
		probers := NewProbers(services, &n)
		stop := running(t, probers.Run)
		time.Sleep(20 * time.Second)
		asked := time.Now()
		stop()
		if took := time.Since(asked); took > stopWithin {
			t.Errorf("stopped after %s", took)
		}
		timeouts, passed := 0, 0
		for _, o := range n.outcomes() {
			switch o.Class {
			case healthd.TimedOut:
				timeouts++
			case healthd.OK:
				passed++
			}
		}
		if timeouts < 7 || passed < 9 || hung.Load() != 1 {
			t.Errorf("%d timeouts, %d passes, %d hang", timeouts, passed, hung.Load())
		}
		probers = probers.Next(services)
		stop = running(t, probers.Run)
		time.Sleep(20 * time.Second)
		if hung.Load() != 1 {
			t.Errorf("%d hang after a reload", hung.Load())
		}
		before := len(n.outcomes())
		close(release) // what it says so late is not reported
		synctest.Wait()
		if len(n.outcomes()) != before {
			t.Error("an outcome of long ago was reported")
		}
		time.Sleep(10 * time.Second)
		if hung.Load() < 5 {
			t.Errorf("probed %d times after it was over", hung.Load())
		}
		stop()
	})
}

// An error of ours in one check is no failure of its target, and ends nothing else.
func TestProbeThatPanicsIsAnOwnFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notebook
		broken := func(context.Context) healthd.Outcome {
			var none map[string]int
			none["x"] = 1
			return healthd.Outcome{}
		}
		stop := running(t, NewProbers([]Service{{Name: "web", Checks: []Check{{Name: "app", Interval: time.Second, Probe: broken}}}}, &n).Run)
		time.Sleep(5 * time.Second)
		stop()
		got := n.outcomes()
		if len(got) < 4 {
			t.Fatalf("%d outcomes", len(got))
		}
		for _, o := range got {
			if o.Class != healthd.OwnFault || !strings.HasPrefix(o.Detail, "probe not made: panic at prober_test.go:") || !strings.Contains(o.Detail, "nil map") {
				t.Errorf("%s: %q", o.Class, o.Detail)
			}
		}
	})
}

// A probe that hangs is as slow as one that gets no answer in time: it makes nothing look quick.
func TestProbeThatHangsIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw, probes := make(chan struct{}), 0
		services := []Service{{Name: "web", Checks: []Check{{Name: "app", Kind: "disk", Probe: func(context.Context) healthd.Outcome {
			if probes++; probes > 3 {
				<-thaw
			}
			return healthd.NewOutcome(time.Now(), 200*time.Millisecond, healthd.OK, "")
		}}}}}
		b, err := NewBoard(Settings{Services: services})
		if err != nil {
			t.Fatal(err)
		}
		stops := []func(){running(t, b.Run), running(t, NewProbers(services, b).Run)}
		time.Sleep(time.Minute)
		svc, _ := b.Latest().Service("web")
		c := svc.Checks[0]
		if c.Latency.P50 != DefaultTimeout || c.Verdict.Status != healthd.Fail || c.Stale || c.Verdict.Since.After(time.Now()) {
			t.Errorf("%+v", c)
		}
		close(thaw)
		stops[1]()
		stops[0]()
	})
}
