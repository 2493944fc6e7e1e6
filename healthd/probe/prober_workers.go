package probe

import (
	"sync"
	"time"
)

// maxIdle is how many workers stay for the next probe: more than 10,000 checks at 5 s that pass have under way at a time.
const maxIdle = 128

// workers make probes, each one at a time. A worker is a goroutine that stays for the next probe, because a new one grows its stack anew, which
// costs as much as a small probe itself. There are as many as probes are under way: one that hangs keeps no other waiting.
type workers struct {
	probe   func(*turn)
	running sync.WaitGroup

	mu    sync.Mutex
	idle  []chan *turn // the last was busy last, and is taken first: its stack is the warmest
	ended bool
}

// do has a probe made, and waits for nothing.
func (w *workers) do(t *turn) {
	w.mu.Lock()
	last := len(w.idle) - 1
	if last < 0 {
		w.mu.Unlock()
		w.running.Go(func() { w.work(t) })
		return
	}
	next := w.idle[last]
	w.idle = w.idle[:last]
	w.mu.Unlock()
	next <- t // it has room for one, and nobody else has it
}

func (w *workers) work(t *turn) {
	next := make(chan *turn, 1)
	for t != nil {
		w.probe(t)
		if !w.rest(next) {
			return
		}
		t = <-next // nil: end came
	}
}

// rest has a worker wait for the next probe; false: it is not needed any more.
func (w *workers) rest(next chan *turn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || len(w.idle) >= maxIdle {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}

// end sends those that rest away, and the others once their probe is over.
func (w *workers) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for _, next := range w.idle {
		close(next)
	}
	w.idle = nil
}

// wait returns once the last has ended, or stopWithin later.
func (w *workers) wait() {
	over := make(chan struct{})
	go func() {
		w.running.Wait()
		close(over)
	}()
	limit := time.NewTimer(stopWithin)
	defer limit.Stop()
	select {
	case <-over:
	case <-limit.C:
	}
}
