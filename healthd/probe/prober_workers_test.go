package probe

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// The goroutine of one probe makes the next; those that hang keep nobody waiting, and no more than some stay.
func TestWorkersStayForTheNextProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hanging = 3 * maxIdle
		release := make(chan bool)
		var hung, made atomic.Int32
		w := &workers{probe: func(t *turn) {
			made.Add(1)
			if t.service == "hangs" {
				hung.Add(1)
				<-release
			}
		}}
		rest := func() int {
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.idle)
		}
		for range 10 {
			w.do(&turn{})
			if n := rest(); n != 1 {
				t.Fatalf("%d workers rest after one probe at a time", n)
			}
		}
		for range hanging {
			w.do(&turn{service: "hangs"})
		}
		w.do(&turn{})
		if n := rest(); hung.Load() != hanging || made.Load() != hanging+11 || n != 1 {
			t.Fatalf("%d hang, %d made, %d rest", hung.Load(), made.Load(), n)
		}
		close(release)
		if n := rest(); n != maxIdle {
			t.Errorf("%d rest after %d hung", n, hanging)
		}
		w.end()
		w.wait()
		if n := rest(); n != 0 {
			t.Errorf("%d rest at the end", n)
		}
	})
}
