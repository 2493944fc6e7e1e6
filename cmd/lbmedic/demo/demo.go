// Package demo runs a whole stack on loopback with the real programs: HAProxy, nginx where it is installed, three small
// apps with a sidecar each, and the controller. It breaks and heals an app, deploys another under load, prints what
// happens, and judges by what HAProxy itself showed and by what users met. Whatever it starts, it stops.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
)

// Settings of a demo.
type Settings struct {
	Program  string    // absolute path of lbmedic: the apps, the sidecars, the controller and the operator's commands are it
	Once     bool      // end after the story; otherwise the stack stays up until ctx is done
	Timeline io.Writer // gets a line for each event while it happens
	Colour   bool      // of the timeline
	HAProxy  string    // another HAProxy than the installed one; a path
	Nginx    string    // another nginx than the installed one; a path

	// Hurry is closed when the clean-up must not take its time: everything is killed instead of asked to end. nil: never.
	Hurry <-chan struct{}
}

// storyLimit bounds everything from the first program to the verdict.
const storyLimit = time.Minute

// ErrNoHAProxy says that the demo cannot be given.
var ErrNoHAProxy = errors.New("the demo needs a real haproxy, and there is none: apt-get install haproxy (nginx is optional)")

// program is the one at path, or the installed one where no path is named.
func program(kind, path string) (peer.Program, bool) {
	if path == "" {
		return peer.Installed(kind)
	}
	path, err := exec.LookPath(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	return peer.Program{Name: kind, Kind: kind, Path: path}, err == nil
}

// Run plays the story and hands the report to told, once. Its error is that of a step that did not happen, of told, or
// ctx's if that ends before the story does. A report with broken promises is no error.
func Run(ctx context.Context, s Settings, told func(*Report) error) (err error) {
	haproxy, ok := program("haproxy", s.HAProxy)
	if !ok {
		return ErrNoHAProxy
	}
	nginx, ok := program("nginx", s.Nginx)
	if !ok && s.Nginx != "" {
		return fmt.Errorf("there is no program %s", s.Nginx)
	} else if !ok {
		nginx.Path = ""
	}
	defer hurry(s.Hurry)() // after the clean-up below
	begun := time.Now()
	line := newTimeline(s.Timeline, s.Colour, begun)
	stage, err := openStage(ctx, s.Program, line)
	if err != nil {
		return err
	}
	defer func() {
		var step *stepError
		if errors.As(err, &step) && ctx.Err() == nil {
			err = errors.Join(err, line.between(func() error { return step.showLogs(s.Timeline) }))
		}
		err = errors.Join(err, stage.close(), line.flush())
		if ctx.Err() != nil && err != nil {
			err = ctx.Err()
		}
	}()
	stage.attend(line.Run)
	report, err := perform(stage, haproxy, nginx, begun)
	if err != nil {
		return err
	}
	if err := line.between(func() error { return told(report) }); err != nil || s.Once {
		return err
	}
	return stay(ctx, stage)
}

// perform sets the stage, plays the story and judges it. nginx without a path is not installed.
func perform(s *stage, haproxy, nginx peer.Program, begun time.Time) (*Report, error) {
	ctx, cancel := context.WithTimeoutCause(s.watch, storyLimit, fmt.Errorf("the story was not over after %s", storyLimit))
	defer cancel()
	if err := s.set(haproxy, nginx); err != nil {
		return nil, err
	}
	version, _, _ := s.observer.effort()
	s.line.tell(time.Now(), "demo", title, "HAProxy %s on http://%s, three apps, a sidecar each, one controller in mode enforce; files in %s", version, s.front, s.dir)
	if s.otherPort != "" {
		s.line.tell(time.Now(), "demo", quiet, "%s", s.otherPort)
	}
	nginxVersion, err := s.tellNginx(ctx)
	if err != nil {
		return nil, err
	}
	s.line.tell(time.Now(), "haproxy", good, "app1, app2 and app3 get requests")
	story := &story{stage: s, tally: newTally(Calm)}
	history, err := story.play(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.line.flush(); err != nil {
		return nil, err
	}
	report := newReport(history)
	report.Nginx, report.Timeline = nginxVersion, s.line.told()
	var gap time.Duration
	report.HAProxy, report.Looks, gap = s.observer.effort()
	report.Gap, report.Figures.Story = inMS(gap), inMS(time.Since(begun))
	return report, nil
}

// tellNginx shows that the second balancer serves, and gives its version.
func (s *stage) tellNginx(ctx context.Context) (version string, err error) {
	if s.nginx == nil {
		s.line.tell(time.Now(), "demo", quiet, "nginx is not installed: the story goes on without it (apt-get install nginx)")
		return "", nil
	}
	var by string
	err = await(ctx, "nginx answers on "+s.layout.nginx, startLimit, []logOf{{"nginx", s.nginx.Log}}, func(ctx context.Context) error {
		return poll(ctx, func() (err error) {
			version, by, err = s.askNginx(ctx)
			return err
		})
	})
	if err == nil {
		s.line.tell(time.Now(), "nginx", good, "nginx %s on http://%s before the same apps; %s answers through it", version, s.layout.nginx, by)
	}
	return version, err
}
