package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

func web() []Service {
	return []Service{{Name: "web", Address: "127.0.0.1:8080", Checks: []Check{{Name: "app", Kind: "http", Target: "http://127.0.0.1:8080/", Probe: passes}}}}
}

func board(t *testing.T, dir string) *Board {
	t.Helper()
	b, err := NewBoard(Settings{Services: web(), Dir: dir, Problem: func(err error) { t.Errorf("problem: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tell(b *Board, class healthd.Class, times int) {
	for range times {
		b.Report("web", "app", healthd.NewOutcome(time.Now(), time.Millisecond, class, class.String()))
	}
}

func status(b *Board) string {
	svc, _ := b.Latest().Service("web")
	if svc.Stale {
		return svc.Status.String() + ", stale"
	}
	return svc.Status.String()
}

func TestVerdictsArePublishedAtOnceAndDetailsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := board(t, "")
		stop := running(t, b.Run)
		tell(b, healthd.OK, 1)
		if status(b) != "pass" {
			t.Errorf("after a pass: %s", status(b))
		}
		tell(b, healthd.Refused, 2)
		generation := b.Latest().Generation
		time.Sleep(beat + time.Millisecond)
		svc, _ := b.Latest().Service("web")
		if got := svc.Checks[0].Verdict.Last.Detail; got != "refused" || b.Latest().Generation != generation {
			t.Errorf("detail %q, generation %d was %d", got, b.Latest().Generation, generation)
		}
		tell(b, healthd.Refused, 1)
		if status(b) != "fail" || b.Latest().Generation != generation+1 {
			t.Errorf("at fall: %s, generation %d", status(b), b.Latest().Generation)
		}
		b.Report("web", "gone", healthd.NewOutcome(time.Now(), 0, healthd.Refused, ""))
		stop()
	})
}

// The percentiles are those of what was measured, published with the details; slowness lowers the weight at once.
func TestLatencyIsPublishedAndLowersTheWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := web()
		services[0].Floor = 60
		services[0].Checks[0].Rule = healthd.Rule{Latency: healthd.LatencyRule{Warn: 250 * time.Millisecond, Of: healthd.P95}}
		b, err := NewBoard(Settings{Services: services})
		if err != nil {
			t.Fatal(err)
		}
		stop := running(t, b.Run)
		report := func(took time.Duration, times int) {
			for range times {
				b.Report("web", "app", healthd.NewOutcome(time.Now(), took, healthd.OK, "status 200"))
			}
		}
		report(10*time.Millisecond, 95)
		report(time.Second, 5)
		b.Report("web", "app", healthd.NewOutcome(time.Now(), time.Hour, healthd.OwnFault, "no descriptors"))
		time.Sleep(beat + time.Millisecond)
		svc, _ := b.Latest().Service("web")
		if got, want := svc.Checks[0].Latency, (healthd.Latency{N: 100, P50: 10 * time.Millisecond, P95: 10 * time.Millisecond, P99: time.Second}); got != want || svc.Weight != 100 {
			t.Errorf("latency %+v, weight %d", got, svc.Weight)
		}
		generation := b.Latest().Generation
		report(time.Second, 2*healthd.DefaultRule.Fall)
		svc, _ = b.Latest().Service("web")
		if svc.Weight != 60 || svc.Status != healthd.Warn || b.Latest().Generation == generation {
			t.Errorf("slow: weight %d, %s, generation %d was %d", svc.Weight, svc.Status, b.Latest().Generation, generation)
		}
		stop()
	})
}

// An app that starts with its sidecar may take its time, and its first good answer ends that.
func TestFailuresInTheGraceDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := web()
		services[0].Checks[0].Rule = healthd.Rule{Grace: 10 * time.Second}
		b, err := NewBoard(Settings{Services: services})
		if err != nil {
			t.Fatal(err)
		}
		tell(b, healthd.Refused, 9)
		if status(b) != "unknown" || !b.Latest().Settled() {
			t.Errorf("in the grace: %s, settled %v", status(b), b.Latest().Settled())
		}
		time.Sleep(10 * time.Second)
		tell(b, healthd.Refused, 2)
		if status(b) != "unknown" {
			t.Errorf("two failures after it: %s", status(b))
		}
		if tell(b, healthd.Refused, 1); status(b) != "fail" {
			t.Errorf("after it: %s", status(b))
		}
	})
}

// After a boot the last snapshot says nothing of an app that has to start again; without one, what passed has no grace.
func TestDeadAppIsNotServedForItsGrace(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		services := web()
		services[0].Checks[0].Rule = healthd.Rule{Grace: time.Minute}
		start := func(boot string) *Board {
			b, err := NewBoard(Settings{Services: services, Dir: dir, Boot: boot})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		b := start("one")
		stop := running(t, b.Run)
		tell(b, healthd.OK, 2)
		stop()
		time.Sleep(time.Second)
		if b = start("two"); status(b) != "unknown" {
			t.Errorf("after a boot: %s", status(b))
		}
		b = start("one")
		tell(b, healthd.Refused, 2)
		if status(b) != "pass, stale" {
			t.Errorf("after two failures: %s", status(b))
		}
		if tell(b, healthd.Refused, 1); status(b) != "fail" {
			t.Errorf("after three: %s", status(b))
		}
	})
}

// After a start, and after an outage, everything changes at once.
func TestManyChangesAreTakenInOneGo(t *testing.T) {
	const services = 10_000
	var all []Service
	for i := range services {
		all = append(all, Service{Name: fmt.Sprintf("s%05d", i), Checks: []Check{{Name: "app", Probe: passes}}})
	}
	b, err := NewBoard(Settings{Services: all})
	if err != nil {
		t.Fatal(err)
	}
	stop := running(t, b.Run)
	defer stop()
	for !func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.running }() {
		runtime.Gosched()
	}
	start, before := time.Now(), b.Latest().Generation
	for _, s := range all {
		b.Report(s.Name, "app", healthd.NewOutcome(time.Now(), 0, healthd.OK, ""))
	}
	for s := b.Latest(); !s.Settled(); {
		if s, err = b.Wait(t.Context(), s.Generation); err != nil {
			t.Fatal(err)
		}
	}
	took, editions := time.Since(start), b.Latest().Generation-before
	t.Logf("%d first outcomes took %s and %d editions", services, took, editions)
	if limit := uint64(took/gap) + 3; editions > limit {
		t.Errorf("%d editions in %s, want %d at most", editions, took, limit)
	}
	if took > 5*time.Second && !testing.Short() { // on a busy machine; an edition for each would take minutes
		t.Errorf("took %s", took)
	}
}

// A prober that hangs reports nothing, not even that it could not measure.
func TestSilenceGoesStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := board(t, "")
		stop := running(t, b.Run)
		tell(b, healthd.OK, 1)
		generation, limit := b.Latest().Generation, b.Latest().Services[0].Checks[0].MaxAge
		time.Sleep(limit)
		if status(b) != "pass" || b.Latest().Generation != generation {
			t.Errorf("after %s: %s, generation %d was %d", limit, status(b), b.Latest().Generation, generation)
		}
		time.Sleep(time.Minute)
		if status(b) != "pass, stale" || b.Latest().Generation != generation+1 {
			t.Errorf("after a minute more: %s, generation %d was %d", status(b), b.Latest().Generation, generation)
		}
		tell(b, healthd.OK, 1)
		if status(b) != "pass" {
			t.Errorf("measured again: %s", status(b))
		}
		stop()
	})
}

func TestWaitWakesEverybodyAndLosesNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := board(t, "")
		var all sync.WaitGroup
		const waiters, changes = 50, 20
		last := b.Latest().Generation + changes
		for range waiters {
			all.Go(func() {
				for seen := b.Latest().Generation; seen < last; {
					s, err := b.Wait(t.Context(), seen)
					if err != nil || s.Generation <= seen {
						t.Errorf("woken with %d after %d: %v", s.Generation, seen, err)
						return
					}
					seen = s.Generation
				}
			})
		}
		synctest.Wait()
		for i := range changes {
			if err := b.Order("web", healthd.Admin{State: healthd.AdminState(i % 2)}); err != nil {
				t.Error(err)
			}
		}
		all.Wait() // a lost wake-up is a deadlock, which the bubble reports
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		if s, err := b.Wait(ctx, b.Latest().Generation); !errors.Is(err, context.DeadlineExceeded) || s != b.Latest() || time.Since(start) != 30*time.Second {
			t.Errorf("waited %s: %v", time.Since(start), err)
		}
	})
}

func TestRestartServesTheLastSnapshotFromDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := board(t, dir)
		stop := running(t, b.Run)
		tell(b, healthd.OK, 2)
		time.Sleep(beat + time.Millisecond)
		if _, err := os.Stat(filepath.Join(dir, snapshotFile)); err != nil {
			t.Errorf("a change is not on disk after a second: %v", err)
		}
		stop()
		time.Sleep(10 * time.Second)
		again := board(t, dir)
		if status(again) != "pass, stale" || again.Latest().Settled() || again.Latest().Instance == b.Latest().Instance {
			t.Errorf("after a restart: %s, tag %s was %s", status(again), again.Latest().Tag(), b.Latest().Tag())
		}
		tell(again, healthd.OK, 1)
		if status(again) != "pass" || !again.Latest().Settled() {
			t.Errorf("after the first round: %s", status(again))
		}
		time.Sleep(healthd.MaxStale)
		if late := board(t, dir); status(late) != "unknown" {
			t.Errorf("after %s: %s", healthd.MaxStale, status(late))
		}
	})
}

// An idle board writes its snapshot twice a minute, so that it is never older than half of MaxStale.
func TestIdleSnapshotIsSavedTwiceAMinute(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := board(t, dir)
		stop := running(t, b.Run)
		tell(b, healthd.OK, 1)
		time.Sleep(5 * time.Minute)
		tell(b, healthd.OK, 1)
		time.Sleep(saveEvery + beat)
		s, err := loadSnapshot(dir)
		if err != nil || s.Age(time.Now()) > saveEvery+2*beat {
			t.Errorf("%v old, %v", s.Age(time.Now()), err)
		}
		stop()
	})
}

func TestOrdersAndWhatIsOwedSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		peer, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		says := func(b *Board, who netip.Addr) string {
			t.Helper()
			word, ok, err := b.Say("web", who, "")
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return ""
			}
			if word == healthd.Ready {
				if err := b.Heard("web", who, ""); err != nil {
					t.Fatal(err)
				}
			}
			return word.String()
		}
		b := board(t, dir)
		if got := says(b, peer); got != "" {
			t.Errorf("without an order: %q", got)
		}
		if err := b.Order("web", healthd.Admin{State: healthd.Drain, Reason: "deploy\n42", By: "alice"}); err != nil {
			t.Fatal(err)
		}
		if got := says(b, peer); got != "drain" {
			t.Errorf("drained: %q", got)
		}
		b = board(t, dir)
		svc, _ := b.Latest().Service("web")
		if svc.Admin.State != healthd.Drain || svc.Admin.Reason != `deploy\n42` || svc.Admin.By != "alice" || svc.Admin.Since.IsZero() {
			t.Errorf("after a restart: %+v", svc.Admin)
		}
		if err := b.Order("", healthd.Admin{State: healthd.Ready}); err != nil {
			t.Fatal(err)
		}
		if got := says(b, peer); got != "ready" {
			t.Errorf("first answer: %q", got)
		}
		if got := says(b, other); got != "" {
			t.Errorf("one that never heard of the drain: %q", got)
		}
		b = board(t, dir)
		for range 2 * healthd.Returns {
			if got := says(b, peer); got != "ready" {
				t.Errorf("after the restart: %q", got)
			}
		}
		time.Sleep(healthd.MostOwed)
		for _, b := range []*Board{board(t, dir), b, b} {
			if got := says(b, peer); got != "" {
				t.Errorf("after %s: %q", healthd.MostOwed, got)
			}
		}
		if err := b.Order("nobody", healthd.Admin{}); err == nil || !strings.Contains(err.Error(), "no such service") {
			t.Errorf("an order for nobody: %v", err)
		}
	})
}

// What cannot be written down is not done: no drain is said that could not be ended.
func TestOrderThatCannotBeSavedChangesNothing(t *testing.T) {
	dir := t.TempDir()
	b := board(t, dir)
	if err := os.Mkdir(filepath.Join(dir, ordersFile), 0o700); err != nil { // stands in the way of the rename
		t.Fatal(err)
	}
	before := b.Latest()
	if err := b.Order("web", healthd.Admin{State: healthd.Drain}); err == nil || b.Latest() != before {
		t.Errorf("order: %v, changed %v", err, b.Latest() != before)
	}
	if err := os.Remove(filepath.Join(dir, ordersFile)); err != nil {
		t.Fatal(err)
	}
	if err := b.Order("web", healthd.Admin{State: healthd.Drain}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.Say("web", netip.MustParseAddr("10.0.0.1"), ""); err == nil || ok {
		t.Errorf("said a word that is not on disk: %v, %v", ok, err)
	}
}

func TestUnreadableFilesAreSetAside(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "torn": `{"services":{"web":{"sta`, "binary": "\x00\xff", "another type": `{"services":[1]}`} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range []string{ordersFile, snapshotFile} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var problems []error
			b, err := NewBoard(Settings{Services: web(), Dir: dir, Problem: func(err error) { problems = append(problems, err) }})
			if err != nil || len(problems) != 2 || status(b) != "unknown" {
				t.Fatalf("%v, problems %v, status %s", err, problems, status(b))
			}
			for _, file := range []string{ordersFile, snapshotFile} {
				if _, err := os.Stat(filepath.Join(dir, file+".bad")); err != nil {
					t.Error(err)
				}
			}
			if err := b.Order("web", healthd.Admin{State: healthd.Maint}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSavingThatFailsIsToldOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	synctest.Test(t, func(t *testing.T) {
		told := 0
		b, err := NewBoard(Settings{Services: web(), Dir: dir, Problem: func(error) { told++ }})
		if err != nil {
			t.Fatal(err)
		}
		stop := running(t, b.Run)
		for range 5 {
			tell(b, healthd.OK, 3)
			time.Sleep(5 * time.Second)
			tell(b, healthd.Refused, 3)
			time.Sleep(5 * time.Second)
		}
		stop()
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

func TestReplaceKeepsWhatIsKnown(t *testing.T) {
	b := board(t, "")
	tell(b, healthd.OK, 1)
	if err := b.Order("web", healthd.Admin{State: healthd.Maint}); err != nil {
		t.Fatal(err)
	}
	before := b.Latest()
	b.Replace(append(web(), Service{Name: "api", Checks: []Check{{Name: "app", Probe: passes}}}))
	svc, _ := b.Latest().Service("web")
	if status(b) != "pass, stale" || svc.Admin.State != healthd.Maint || b.Latest().Instance != before.Instance || b.Latest().Generation <= before.Generation {
		t.Errorf("%s, %+v, tag %s after %s", status(b), svc.Admin, b.Latest().Tag(), before.Tag())
	}
	if api, ok := b.Latest().Service("api"); !ok || api.Status != healthd.Unknown {
		t.Errorf("the new service is %+v", api)
	}
}

func FuzzOrdersFile(f *testing.F) {
	f.Add([]byte(`{"services":{"web":{"state":"drain","reason":"x","since":"2026-01-02T03:04:05Z","owed":{"10.0.0.1":{"left":3}}}}}`))
	f.Add([]byte(`{"services":{"web":{"owed":{"10.0.0.1":{"left":-9223372036854775808,"since":"9999-01-02T03:04:05Z"}}}}}`))
	f.Add([]byte(`{"services":{"web":{"owed":{"10.0.0.1":{"left":9,"since":"0001-01-01T00:00:00Z"}}}}}`))
	f.Add([]byte(`null`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		synctest.Test(t, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, ordersFile), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			b, err := NewBoard(Settings{Services: web(), Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				if _, _, err := b.Say("web", netip.MustParseAddr("10.0.0.1"), ""); err != nil {
					t.Fatal(err)
				}
				if err := b.Heard("web", netip.MustParseAddr("10.0.0.1"), ""); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(healthd.MostOwed)
			if word, ok, _ := b.Say("web", netip.MustParseAddr("10.0.0.1"), ""); ok && word == healthd.Ready {
				t.Errorf("still owed ready after 5 answers and %s", healthd.MostOwed)
			}
		})
	})
}
