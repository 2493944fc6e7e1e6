package nginx

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// reloadGap is the least time between two reloads, ours or foreign.
const reloadGap = time.Second

// reload is one reload with its proof.
type reload struct {
	i      *Instance
	m      *master
	old    []Worker // the workers at the time of the signal
	at     Ticks    // of the signal
	log    int64    // the error log's length then
	refuse string   // what the error log says against it since
}

// reload signals the master and waits for the proof. sure means that nginx surely goes on with what it had.
func (c *change) reload(ctx context.Context, m *master, effect func(context.Context) error) (sure bool, err error) {
	r := reload{i: c.i, m: m}
	signalled, err := r.run(ctx, c.unchanged)
	c.out.Workers, _ = Workers(m.pid) // for the report; the proof has been read already
	if err != nil {
		return !signalled || r.refuse != "", err
	}
	probing, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.i.patience())
	defer cancel()
	if err := effect(probing); err != nil {
		return false, fmt.Errorf("%w: the new workers run, but the probe says: %w", ErrNotApplied, err)
	}
	return false, nil
}

// run waits until a reload is allowed, asks ready one last time, signals, and waits for new workers.
func (r *reload) run(ctx context.Context, ready func() error) (signalled bool, err error) {
	if err := r.quiet(ctx); err != nil {
		return false, err
	}
	if err := ready(); err != nil {
		return false, err
	}
	if r.old, err = Workers(r.m.pid); err != nil {
		return false, err
	}
	r.log = logLength(r.i.LogFile)
	if r.at, err = now(); err != nil {
		return false, err
	}
	if err := r.m.signal(syscall.SIGHUP); err != nil {
		return false, err
	}
	deadline := time.NewTimer(r.i.patience())
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		proved, err := r.proved()
		if err != nil || proved {
			return true, err
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return true, fmt.Errorf("%w: no new workers within %s of the signal", ErrNotApplied, r.i.patience())
		}
	}
}

// quiet waits until the youngest worker, and the master itself, are older than reloadGap.
func (r *reload) quiet(ctx context.Context) error {
	for {
		workers, err := Workers(r.m.pid)
		if err != nil {
			return err
		}
		t, err := now()
		if err != nil {
			return err
		}
		youngest := r.m.start
		if len(workers) > 0 {
			youngest = workers[len(workers)-1].Start
		}
		wait := reloadGap - t.since(youngest)
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("wait until the last reload is %s old: %w", reloadGap, context.Cause(ctx))
		}
	}
}

// proved holds once a worker that is new takes connections and none of the old ones does. A worker that only replaces
// one that died does not prove anything: its older siblings go on.
func (r *reload) proved() (bool, error) {
	if err := r.m.signal(0); err != nil {
		return false, fmt.Errorf("%w: the master is gone: %w", ErrNotApplied, err)
	}
	if r.refuse = refusal(logSince(r.i.LogFile, r.log), r.m.pid); r.refuse != "" {
		return false, fmt.Errorf("%w: %s", ErrNotApplied, r.refuse)
	}
	workers, err := Workers(r.m.pid)
	if err != nil {
		return false, err
	}
	fresh := false
	for _, w := range workers {
		old := slices.ContainsFunc(r.old, func(o Worker) bool { return o.PID == w.PID && o.Start == w.Start })
		if old && !w.ShuttingDown {
			return false, nil
		}
		fresh = fresh || !old && !w.ShuttingDown && w.Start >= r.at
	}
	return fresh, nil
}

// refusal finds the line by which the master gives up a reload. It tries to bind five times, half a second apart, and
// only then says "still could not bind()": a single bind() line is not the end. Seen on 1.18 to 1.30.
func refusal(log string, master int) string {
	bind := ""
	for line := range strings.SplitSeq(log, "\n") {
		if !strings.Contains(line, " [emerg] ") { // a busy log has thousands of other lines
			continue
		}
		said := parseMessages(line)
		if len(said) == 0 || said[0].pid != master {
			continue
		}
		m := said[0]
		switch {
		case strings.HasPrefix(m.text, "bind() to "), strings.HasPrefix(m.text, "listen() to "):
			bind = m.text + ", "
		case strings.HasPrefix(m.text, "still could not bind"):
			return oneLine(bind + m.text)
		default:
			return oneLine(m.text)
		}
	}
	return ""
}

// maxLog bounds what is read of the error log after the signal.
const maxLog = 256 << 10

// logLength is where the error log ends; -1 where there is none to read.
func logLength(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil || !fi.Mode().IsRegular() {
		return -1
	}
	return fi.Size()
}

// logSince is what was written to the error log behind that length; without a log it is empty, and the proof rests on
// the workers alone.
func logSince(path string, from int64) string {
	if from < 0 {
		return ""
	}
	f, err := Disk{}.open(path, os.O_RDONLY|syscall.O_NONBLOCK)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, from, maxLog))
	if err != nil {
		return ""
	}
	return string(data)
}
