package runtime

import (
	"errors"
	"testing"
	"time"
)

// Writes go on while HAProxy reloads three times. What was reported done in the generation that lives at the end must
// be what it shows, and no write may have reached a generation other than the one that it was meant for.
func TestWritesDuringReloadsReachTheGenerationTheyWereMeantFor(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		live, err := f.client.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done := map[int]int{} // pid → weight last reported done there
		counts := map[string]int{}
		reloads, writes := 0, 0
		next := time.Now()
		generations := map[int]bool{live.PID: true}
		for deadline := time.Now().Add(30 * time.Second); (len(generations) < 4 || done[live.PID] == 0) && time.Now().Before(deadline); {
			if len(generations) < 4 && time.Now().After(next) {
				if err := f.Reload(); err != nil {
					t.Fatal(err)
				}
				reloads++
				next = time.Now().Add(3 * time.Second) // a signal may get lost; otherwise the next comes sooner
			}
			writes++
			want := 1 + writes%250
			report, err := f.client.Do(t.Context(), live.Generation(), SetWeight("web", "app1", Absolute(want)))
			switch {
			case report.All(Done):
				if err != nil || report.Before.PID != live.PID || report.After.PID != live.PID {
					t.Fatalf("meant for %d: %+v, %v", live.PID, report, err)
				}
				done[live.PID] = want
				counts["done"]++
			case err == nil:
				t.Fatalf("%+v", report)
			case errors.Is(err, ErrGeneration) || errors.Is(err, ErrStopping) || errors.Is(err, ErrRefused) || errors.Is(err, ErrMissing) || errors.Is(err, ErrTruncated):
				counts[cause(err)]++
				if now, err := f.client.Info(t.Context()); err == nil && !now.Stopping {
					live = now
					if !generations[now.PID] {
						generations[now.PID] = true
						next = time.Now().Add(500 * time.Millisecond)
					}
				}
			default:
				t.Fatalf("%+v, %v", report, err)
			}
		}
		if len(generations) != 4 {
			t.Errorf("%d generations of 4", len(generations))
		}
		if s := f.server(t, "web", "app1"); s.Weight != done[live.PID] {
			t.Errorf("the last weight reported done is %d, the live worker has %d", done[live.PID], s.Weight)
		}
		t.Logf("%d writes over %d reloads: %v; last weights by pid %v", writes, reloads, counts, done)
	})
}

func cause(err error) string {
	for _, known := range []error{ErrGeneration, ErrStopping, ErrRefused, ErrMissing, ErrTruncated} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}
