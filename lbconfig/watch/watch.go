// Package watch wakes whoever waits when configuration files may have changed. Events of the kernel make it quick; reading
// the files again every period makes it true, because of nine usual ways to change a file three send no event at all.
package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// The defaults of Settings.
const (
	DefaultPeriod = 10 * time.Second
	DefaultSettle = 200 * time.Millisecond
)

// Settings of a watch.
type Settings struct {
	// Paths names the files to watch: a configuration with everything it includes. It is asked again before each look, from
	// the goroutine of Run. Files that do not exist yet may be among them, and folders whose names matter.
	Paths func() []string
	// Period is the time between two looks without an event; 0 means DefaultPeriod.
	Period time.Duration
	// Settle is how long files must have been quiet before a change counts; 0 means DefaultSettle.
	Settle time.Duration
	// Polling, where set, is called from Run with the reason when events stop working (no more inotify instances or watches)
	// and only the period is left, and with nil when they work again.
	Polling func(reason error)
}

// Watch is a watch of files. Use New.
type Watch struct {
	settings Settings
	wake     chan struct{}

	notifier *fsnotify.Watcher // nil while polling
	watched  map[string]folder
	reason   error // why there are no events, or not all
	last     State
	pending  *State // seen once, not yet told
	settle   settle

	open func() (*fsnotify.Watcher, error) // fsnotify.NewWatcher, but in tests
	look func(changed bool)                // called after each look, in tests
}

// folder tells a folder from another one that later has its name.
type folder struct{ dev, ino uint64 }

// New makes a watch; Run starts it.
func New(s Settings) *Watch {
	if s.Period <= 0 {
		s.Period = DefaultPeriod
	}
	if s.Settle <= 0 {
		s.Settle = DefaultSettle
	}
	return &Watch{settings: s, wake: make(chan struct{}, 1), watched: map[string]folder{},
		settle: settle{quiet: s.Settle, limit: 5 * s.Settle},
		open:   fsnotify.NewWatcher, look: func(bool) {}}
}

// Wake receives once at the start of Run, when the watch is in place, and once after any number of changes. It says "look
// again" and carries no data.
func (w *Watch) Wake() <-chan struct{} { return w.wake }

// Run watches until ctx is done, which is no failure.
func (w *Watch) Run(ctx context.Context) error {
	defer w.close()
	poll := time.NewTicker(w.settings.Period)
	defer poll.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	paths := w.settings.Paths()
	w.follow(paths)
	w.last, _ = Fingerprint(paths) // what cannot be read is part of the state, and the reader of the files will say so
	w.tell()
	for {
		timer.Stop()
		if due, ok := w.settle.due(); ok {
			timer.Reset(time.Until(due))
		}
		events, failures := w.channels()
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-events:
			// A folder that was removed takes its watch with it, and one made anew may get the same inode number.
			if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
				w.forget(event.Name)
			}
			w.noted(ok)
		case err, ok := <-failures:
			if ok && !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.report(fmt.Errorf("watch for changes: %w", err))
			}
			w.noted(ok) // an overflow means that any file may have changed
		case <-timer.C:
			w.examine(w.settle.done(time.Now()))
		case <-poll.C:
			w.examine(false)
		}
	}
}

// noted reacts to an event; a closed channel is the end of all events.
func (w *Watch) noted(open bool) {
	if !open {
		w.close()
		w.report(errors.New("watch for changes: the events ended"))
	}
	w.settle.event(time.Now())
}

// examine looks at the files. A change after quiet is told at once; one found while they may still be written is told
// when a second look finds the same.
func (w *Watch) examine(quiet bool) {
	paths := w.settings.Paths()
	w.follow(paths) // first, so that a change during the reading sends an event
	now, _ := Fingerprint(paths)
	changed := now != w.last
	switch {
	case !changed:
		w.pending = nil
	case quiet || w.pending != nil && *w.pending == now:
		w.last, w.pending = now, nil
		w.tell()
	default:
		w.pending = &now
		w.settle.again(time.Now())
	}
	w.look(changed)
}

func (w *Watch) tell() {
	select {
	case w.wake <- struct{}{}:
	default: // one is waiting already
	}
}

func (w *Watch) channels() (<-chan fsnotify.Event, <-chan error) {
	if w.notifier == nil {
		return nil, nil
	}
	return w.notifier.Events, w.notifier.Errors
}

// maxFolders bounds the watches of one Watch; the kernel has a limit for all processes of a user together.
const maxFolders = 1024

// follow puts watches on the folders of the paths. A folder that is another one than before under the same name gets a
// new watch: the old one would report the events of the folder that was moved away.
func (w *Watch) follow(paths []string) {
	if w.notifier == nil {
		n, err := w.open()
		if err != nil {
			w.report(fmt.Errorf("watch for changes: no events, the files are read every %v instead: %w", w.settings.Period, err))
			return
		}
		w.notifier, w.watched = n, map[string]folder{}
	}
	wanted := map[string]bool{}
	var failed error
	for _, dir := range folders(paths) {
		if len(wanted) == maxFolders {
			failed = fmt.Errorf("more than %d folders", maxFolders)
			break
		}
		wanted[dir] = true
		if err := w.followOne(dir); err != nil {
			failed = err
		}
	}
	for dir := range w.watched {
		if !wanted[dir] {
			w.forget(dir)
		}
	}
	if failed != nil {
		failed = fmt.Errorf("watch for changes: not all send events, the files are read every %v: %w", w.settings.Period, failed)
	}
	w.report(failed)
}

func (w *Watch) followOne(dir string) error {
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		w.forget(dir)
		return nil // gone since; its parent is watched
	}
	is := folder{stat.Dev, stat.Ino}
	if w.watched[dir] == is {
		return nil
	}
	w.forget(dir)
	err := w.notifier.Add(dir)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	w.watched[dir] = is
	return nil
}

func (w *Watch) forget(dir string) {
	if _, ok := w.watched[dir]; !ok {
		return
	}
	delete(w.watched, dir)
	_ = w.notifier.Remove(dir) // fails where the kernel has dropped the watch with its folder
}

// report tells the owner when events stop or start to work.
func (w *Watch) report(reason error) {
	if (reason == nil) == (w.reason == nil) {
		return
	}
	w.reason = reason
	if w.settings.Polling != nil {
		w.settings.Polling(reason)
	}
}

func (w *Watch) close() {
	if w.notifier != nil {
		_ = w.notifier.Close() // it only says that it was closed before
		w.notifier, w.watched = nil, map[string]folder{}
	}
}
