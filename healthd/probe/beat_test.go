package probe

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// A disk that hangs, as a frozen file system does, is no reason to end a process that answers: each second has its turn, one save at a time waits for
// the disk, and the stop is bounded.
func TestDiskThatHangsStopsNoHeart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := board(t, "")
		var problems []error
		b.problem = func(err error) { problems = append(problems, err) }
		thaw := make(chan struct{})
		var begun atomic.Int64
		b.keep = func(string, *healthd.Snapshot) error {
			begun.Add(1)
			<-thaw
			return nil
		}
		stop := running(t, b.Run)
		for range 60 {
			tell(b, healthd.OK, 2)
			time.Sleep(beat)
			tell(b, healthd.Refused, 3)
		}
		if late := time.Since(b.Ticked()); late > beat || begun.Load() != 1 {
			t.Errorf("%d saves are under way, the last turn was %s ago", begun.Load(), late)
		}
		began := time.Now()
		stop()
		if took := time.Since(began); took != lastSaveWithin || len(problems) != 1 {
			t.Errorf("the stop took %s: %v", took, problems)
		}
		close(thaw)
	})
}

// What changed while a save was under way is saved after it.
func TestSlowDiskHasTheLatestInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := board(t, "")
		var saved []uint64
		under := 0
		b.keep = func(_ string, s *healthd.Snapshot) error {
			if under++; under > 1 {
				t.Error("two saves at once")
			}
			time.Sleep(lastSaveWithin / 3)
			under--
			saved = append(saved, s.Generation)
			return nil
		}
		stop := running(t, b.Run)
		tell(b, healthd.OK, 2)
		time.Sleep(beat + time.Millisecond)
		tell(b, healthd.Refused, 3)
		stop()
		if len(saved) != 2 || saved[1] != b.Latest().Generation {
			t.Errorf("saved %v, the latest is %d", saved, b.Latest().Generation)
		}
	})
}
