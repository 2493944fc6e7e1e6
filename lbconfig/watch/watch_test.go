package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// way is one way to change a configuration file. begin makes it below dir and returns its path; change changes it.
type way struct {
	begin  func(t *testing.T, dir string) string
	change func(t *testing.T, dir string)
	silent bool // sends no event at all
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func plain(t *testing.T, dir string) string {
	path := filepath.Join(dir, "parent", "conf", "a.cfg")
	write(t, path, "old")
	return path
}

var ways = map[string]way{
	"written in place": {plain, func(t *testing.T, dir string) { write(t, filepath.Join(dir, "parent/conf/a.cfg"), "new") }, false},
	"atomic rename": {plain, func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "parent/conf/tmp"), "new")
		must(t, os.Rename(filepath.Join(dir, "parent/conf/tmp"), filepath.Join(dir, "parent/conf/a.cfg")))
	}, false},
	"folder removed and made anew": {plain, func(t *testing.T, dir string) {
		must(t, os.RemoveAll(filepath.Join(dir, "parent/conf")))
		write(t, filepath.Join(dir, "parent/conf/a.cfg"), "new")
	}, false},
	"folder swapped": {plain, func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "parent/next/a.cfg"), "new")
		must(t, os.Rename(filepath.Join(dir, "parent/conf"), filepath.Join(dir, "parent/old")))
		must(t, os.Rename(filepath.Join(dir, "parent/next"), filepath.Join(dir, "parent/conf")))
	}, false},
	"parent swapped": {plain, func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "next/conf/a.cfg"), "new")
		must(t, os.Rename(filepath.Join(dir, "parent"), filepath.Join(dir, "old")))
		must(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "parent")))
	}, false},
	"grandparent swapped": {func(t *testing.T, dir string) string {
		path := filepath.Join(dir, "grand", "parent", "conf", "a.cfg")
		write(t, path, "old")
		return path
	}, func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "next/parent/conf/a.cfg"), "new")
		must(t, os.Rename(filepath.Join(dir, "grand"), filepath.Join(dir, "old")))
		must(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "grand")))
	}, true},
	"kubernetes ..data swap": {func(t *testing.T, dir string) string {
		write(t, filepath.Join(dir, "conf/..1/a.cfg"), "old")
		must(t, os.Symlink("..1", filepath.Join(dir, "conf/..data")))
		must(t, os.Symlink("..data/a.cfg", filepath.Join(dir, "conf/a.cfg")))
		return filepath.Join(dir, "conf/a.cfg")
	}, func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "conf/..2/a.cfg"), "new")
		must(t, os.Symlink("..2", filepath.Join(dir, "conf/..tmp")))
		must(t, os.Rename(filepath.Join(dir, "conf/..tmp"), filepath.Join(dir, "conf/..data")))
	}, false},
	"target of a link edited": {func(t *testing.T, dir string) string {
		write(t, filepath.Join(dir, "elsewhere/real.cfg"), "old")
		must(t, os.Mkdir(filepath.Join(dir, "conf"), 0o755))
		must(t, os.Symlink(filepath.Join(dir, "elsewhere/real.cfg"), filepath.Join(dir, "conf/a.cfg")))
		return filepath.Join(dir, "conf/a.cfg")
	}, func(t *testing.T, dir string) { write(t, filepath.Join(dir, "elsewhere/real.cfg"), "new") }, false},
	"bind mount over the folder": {plain, func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "next/a.cfg"), "new")
		conf := filepath.Join(dir, "parent/conf")
		if err := syscall.Mount(filepath.Join(dir, "next"), conf, "", syscall.MS_BIND, ""); err != nil {
			t.Skipf("bind mount: %v", err)
		}
		t.Cleanup(func() { must(t, syscall.Unmount(conf, 0)) })
	}, true},
	"chmod":   {plain, func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "parent/conf/a.cfg"), 0o600)) }, false},
	"removed": {plain, func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "parent/conf/a.cfg"))) }, false},
	"appears": {func(t *testing.T, dir string) string { return filepath.Join(dir, "not", "yet", "a.cfg") },
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "not/yet/a.cfg"), "new") }, false},
}

// start runs the watch until the test ends, and takes its first wake-up.
func start(t *testing.T, w *Watch) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a stop is a failure: %v", err)
		}
	})
	expectWake(t, w)
}

func expectWake(t *testing.T, w *Watch) {
	t.Helper()
	select {
	case <-w.Wake():
	case <-time.After(5 * time.Second):
		t.Fatal("no wake-up within 5 s")
	}
}

func noEvents() (*fsnotify.Watcher, error) { return nil, syscall.EMFILE }

func one(path string) func() []string { return func() []string { return []string{path} } }

func TestEveryWayOfChangingAFileIsSeen(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Run("by polling", func(t *testing.T) {
				dir := t.TempDir()
				w := New(Settings{Paths: one(way.begin(t, dir)), Period: 50 * time.Millisecond, Settle: 10 * time.Millisecond})
				w.open = noEvents
				start(t, w)
				way.change(t, dir)
				expectWake(t, w)
			})
			t.Run("by both", func(t *testing.T) {
				dir := t.TempDir()
				path := way.begin(t, dir)
				looks := make(chan bool, 1000)
				w := New(Settings{Paths: one(path), Period: 50 * time.Millisecond, Settle: 10 * time.Millisecond})
				w.look = func(changed bool) { looks <- changed }
				start(t, w)
				way.change(t, dir)
				expectWake(t, w)
				settleDown(t, w, looks)
				// It is not blind afterwards.
				write(t, path, "newer")
				expectWake(t, w)
			})
			if way.silent {
				return
			}
			t.Run("by events", func(t *testing.T) {
				dir := t.TempDir()
				path := way.begin(t, dir)
				w := New(Settings{Paths: one(path), Period: time.Hour, Settle: 10 * time.Millisecond})
				start(t, w)
				way.change(t, dir)
				expectWake(t, w)
			})
		})
	}
}

func TestEventsStillWorkAfterEachChange(t *testing.T) {
	for name, way := range ways {
		if way.silent || name == "removed" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := way.begin(t, dir)
			looks := make(chan bool, 100)
			w := New(Settings{Paths: one(path), Period: time.Hour, Settle: 10 * time.Millisecond})
			w.look = func(changed bool) { looks <- changed }
			start(t, w)
			way.change(t, dir)
			expectWake(t, w)
			for nudge := range 3 { // so that more looks come
				drain(looks)
				must(t, os.WriteFile(filepath.Join(filepath.Dir(path), fmt.Sprint("nudge", nudge)), nil, 0o644))
				nextLook(t, looks)
			}
			drain(w.Wake())
			write(t, path, "newer")
			expectWake(t, w)
		})
	}
}

func nextLook(t *testing.T, looks <-chan bool) (changed bool) {
	t.Helper()
	select {
	case changed = <-looks:
	case <-time.After(5 * time.Second):
		t.Fatal("no look within 5 s")
	}
	return changed
}

func drain[T any](c <-chan T) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// settleDown waits until a look finds nothing new: a swap may be seen, and told, in two steps.
func settleDown(t *testing.T, w *Watch, looks <-chan bool) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for quiet := 0; quiet < 2; {
		select {
		case changed := <-looks:
			if quiet++; changed {
				quiet = 0
			}
		case <-w.Wake():
			quiet = 0
		case <-deadline:
			t.Fatal("it never gets quiet")
		}
	}
}

func TestATouchWakesNobody(t *testing.T) {
	path := plain(t, t.TempDir())
	looks := make(chan bool, 100)
	w := New(Settings{Paths: one(path), Period: time.Hour, Settle: 10 * time.Millisecond})
	w.look = func(changed bool) { looks <- changed }
	start(t, w)
	must(t, os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)))
	if changed := nextLook(t, looks); changed {
		t.Error("a touch counts as a change")
	}
	select {
	case <-w.Wake():
		t.Error("a touch woke")
	default:
	}
}

func TestWakeUpsAreCoalesced(t *testing.T) {
	path := plain(t, t.TempDir())
	looks := make(chan bool, 1000)
	w := New(Settings{Paths: one(path), Period: 20 * time.Millisecond, Settle: time.Millisecond})
	w.open = noEvents
	w.look = func(changed bool) { looks <- changed }
	start(t, w)
	for _, text := range []string{"1", "2", "3"} {
		write(t, path, text)
		for changed := false; !changed; { // seen
			changed = nextLook(t, looks)
		}
		for changed := true; changed; { // and told
			changed = nextLook(t, looks)
		}
	}
	expectWake(t, w)
	select {
	case <-w.Wake():
		t.Error("three changes that nobody took left two wake-ups")
	default:
	}
}

func TestExhaustedInotifyIsReportedAndPolled(t *testing.T) {
	path := plain(t, t.TempDir())
	reasons := make(chan error, 10)
	exhausted := true // only Run's goroutine uses it after start
	w := New(Settings{Paths: one(path), Period: 30 * time.Millisecond, Settle: time.Millisecond, Polling: func(err error) { reasons <- err }})
	w.open = func() (*fsnotify.Watcher, error) {
		if exhausted {
			exhausted = false
			return noEvents()
		}
		return fsnotify.NewWatcher()
	}
	start(t, w)
	if err := <-reasons; !errors.Is(err, syscall.EMFILE) {
		t.Errorf("reason %v", err)
	}
	if err := <-reasons; err != nil {
		t.Errorf("events work again, but it says %v", err)
	}
	write(t, path, "new")
	expectWake(t, w)
}

// After an overflow nothing is known: the file whose event was lost is read at once.
func TestAnOverflowLooksAtOnce(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "one/conf/a.cfg"), filepath.Join(dir, "two/conf/b.cfg")
	write(t, first, "old")
	write(t, second, "old")
	paths := make(chan []string, 1) // what Paths answers from now on
	now := []string{first}
	w := New(Settings{Period: time.Hour, Settle: 10 * time.Millisecond, Paths: func() []string {
		select {
		case now = <-paths:
		default:
		}
		return now
	}})
	var notifier *fsnotify.Watcher
	w.open = func() (n *fsnotify.Watcher, err error) {
		notifier, err = fsnotify.NewWatcher()
		return notifier, err
	}
	start(t, w)
	paths <- []string{first, second} // no event tells of this
	notifier.Errors <- fsnotify.ErrEventOverflow
	expectWake(t, w)
}

func TestABusyNeighbourCannotPutOffALook(t *testing.T) {
	dir := t.TempDir()
	path := plain(t, dir)
	w := New(Settings{Paths: one(path), Period: time.Hour, Settle: 40 * time.Millisecond})
	start(t, w)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = os.WriteFile(filepath.Join(dir, "parent/conf/access.log"), []byte("x"), 0o644)
			}
		}
	}()
	write(t, path, "new")
	expectWake(t, w)
	close(stop)
	<-stopped
}

func TestSettle(t *testing.T) {
	start := time.Unix(100, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	s := settle{quiet: 200 * time.Millisecond, limit: time.Second}
	if _, ok := s.due(); ok || s.done(at(0)) {
		t.Error("due without an event")
	}
	s.event(at(0))
	s.event(at(150))
	if due, ok := s.due(); !ok || due != at(350) {
		t.Errorf("due %v", due)
	}
	for ms := 200; ms <= 1200; ms += 100 {
		s.event(at(ms))
	}
	if due, _ := s.due(); due != at(1000) {
		t.Errorf("put off to %v", due)
	}
	if s.done(at(1210)) {
		t.Error("still busy, but called quiet")
	}
	s.event(at(2000))
	if !s.done(at(2200)) {
		t.Error("quiet for the whole time, but called busy")
	}
	s.again(at(3000))
	if s.done(at(3200)) {
		t.Error("silence after a look proves nothing")
	}
}
