package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// stay keeps the stack up under load until ctx is done. The timeline goes on, and an app that somebody kills is part of
// the play.
func stay(ctx context.Context, s *stage) error {
	err := s.line.between(func() error {
		_, err := io.WriteString(s.line.w, s.hints())
		return err
	})
	if err != nil {
		return fmt.Errorf("print what to try: %w", err)
	}
	s.free.Store(true)
	toggle := make(chan os.Signal, 1)
	signal.Notify(toggle, syscall.SIGUSR1)
	defer signal.Stop(toggle)
	s.parts.Go(func() { s.onToggle(toggle) })
	err = newLoad("http://"+s.front+"/", rate, true, newTally(After)).Run(s.watch)
	if ctx.Err() != nil {
		return nil // ^C is how it ends
	}
	return errors.Join(err, context.Cause(s.watch))
}

// onToggle breaks and heals the dependency of one app in turn.
func (s *stage) onToggle(toggle <-chan os.Signal) {
	for failing := false; ; failing = !failing {
		select {
		case <-s.watch.Done():
			return
		case <-toggle:
		}
		if failing {
			if err := s.needs[broken].heal(); err != nil {
				s.fail(err)
				return
			}
			s.tell("demo", title, "the dependency of %s heals", broken)
			continue
		}
		s.needs[broken].fail()
		s.tell("demo", title, "the dependency of %s fails", broken)
	}
}

// hints are what to try while the stack is up.
func (s *stage) hints() string {
	socket := " --socket " + s.adminSocket()
	app := s.apps[spared].pid()
	hints := [][2]string{
		{s.program + " status" + socket, "what lbmedic sees and would do"},
		{s.program + " events -f" + socket, "what it did and why"},
		{s.program + " drain " + backend + "/" + spared + " --wait" + socket, "returns when it can be stopped"},
		{s.program + " ready " + backend + "/" + spared + socket, "back in service"},
		{fmt.Sprintf("kill -USR1 %d", os.Getpid()), "break the dependency of " + broken + "; again heals it"},
		{fmt.Sprintf("kill -STOP %d", app), fmt.Sprintf("%s hangs; kill -CONT %d wakes it", spared, app)},
		{"curl -d order http://" + s.front + "/", "through HAProxy"},
		{"curl -i " + s.where(broken).health(), "the sidecar of " + broken},
		{"http://" + s.stats + "/", "HAProxy's own page"},
	}
	if s.nginx != nil {
		hints = append(hints, [2]string{"curl -d order http://" + s.layout.nginx + "/", "through nginx"})
	}
	var b strings.Builder
	b.WriteString("\nThe stack stays up, under load, until ^C. Things to try:\n\n")
	widest := 0
	for _, h := range hints {
		widest = max(widest, len(h[0]))
	}
	for _, h := range hints {
		fmt.Fprintf(&b, "    %-*s  # %s\n", widest, h[0], h[1])
	}
	b.WriteString("\n")
	return b.String()
}
