package probe

import (
	"fmt"
	"sync"
	"time"
)

// shelf holds a value that is kept in a file. Whoever reads it, or changes what may be lost, never waits for the disk. A value is never modified.
type shelf[T any] struct {
	dir, file string
	pen       chan struct{} // who has it writes

	mu sync.Mutex // never held over a write
	v  T
}

// newShelf begins with what is on disk, or with nothing and an error.
func newShelf[T any](dir, file string) (*shelf[T], error) {
	s := &shelf[T]{dir: dir, file: file, pen: make(chan struct{}, 1)}
	if err := loadFile(dir, file, &s.v); err != nil {
		var nothing T
		s.v = nothing
		return s, err
	}
	return s, nil
}

func (s *shelf[T]) get() T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.v
}

// change has an effect in memory.
func (s *shelf[T]) change(to func(T) T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.v = to(s.v)
}

// patience is how long a balancer waits for its turn at the disk. HAProxy waits for longer.
const patience = 250 * time.Millisecond

// write has an effect on disk and then in memory, by done, or on an error none at all. It calls to a second time for the latter, with what has changed
// meanwhile. Where patient is not 0, it gives up after that time while others write.
func (s *shelf[T]) write(patient time.Duration, to func(T) T, done func(apply func())) error {
	if err := s.takePen(patient); err != nil {
		return err
	}
	defer s.leavePen()
	if err := saveFile(s.dir, s.file, to(s.get())); err != nil {
		return err
	}
	done(func() { s.change(to) })
	return nil
}

// save writes what is in memory. While others write it is left to the next.
func (s *shelf[T]) save() error {
	select {
	case s.pen <- struct{}{}:
		defer s.leavePen()
		return saveFile(s.dir, s.file, s.get())
	default:
		return nil
	}
}

func (s *shelf[T]) takePen(patient time.Duration) error {
	if patient == 0 {
		s.pen <- struct{}{}
		return nil
	}
	select {
	case s.pen <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(patient)
	defer wait.Stop()
	select {
	case s.pen <- struct{}{}:
		return nil
	case <-wait.C:
		return fmt.Errorf("write %s: the disk does not answer in time", s.file)
	}
}

func (s *shelf[T]) leavePen() { <-s.pen }

// atOnce is for writes that nothing else goes with.
func atOnce(apply func()) { apply() }
