package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func unexpected(t *testing.T) func(*Report) error {
	return func(*Report) error {
		t.Error("a report of a story that was not played")
		return nil
	}
}

func TestWithoutHAProxyThePackageIsNamed(t *testing.T) {
	err := Run(t.Context(), Settings{HAProxy: "/nonexistent/haproxy"}, unexpected(t))
	if !errors.Is(err, ErrNoHAProxy) || !strings.Contains(err.Error(), "apt-get install haproxy") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

func TestAnNginxThatIsNotThereIsNamed(t *testing.T) {
	err := Run(t.Context(), Settings{HAProxy: "/bin/true", Nginx: "/nonexistent/nginx"}, unexpected(t))
	if err == nil || err.Error() != "there is no program /nonexistent/nginx" {
		t.Errorf("%v", err)
	}
}

// /bin/false takes the place of lbmedic: no app ever listens.
func TestAProgramThatEndsAtOnceIsNamedWithItsLog(t *testing.T) {
	var out bytes.Buffer
	begun := time.Now()
	err := Run(t.Context(), Settings{Program: "/bin/false", HAProxy: "/bin/true", Timeline: &out, Once: true}, unexpected(t))
	if err == nil || err.Error() != "keep app1 running: app1 ended: exit status 1" && !strings.HasPrefix(err.Error(), "app1 v1 listens on 127.0.0.2:") {
		t.Errorf("%v", err) // whoever notices first
	}
	if !strings.Contains(out.String(), "--- app1: has written nothing") {
		t.Errorf("%s", out.String())
	}
	if took := time.Since(begun); took > startLimit/2 {
		t.Errorf("it took %s to notice", took)
	}
}

func TestAStoppedDemoLeavesNothing(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stage, err := openStage(ctx, "/bin/true", newTimeline(&bytes.Buffer{}, false, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	p := sh(t, `echo up; while :; do sleep 0.01; done`)
	stage.undo = append(stage.undo, func() error { return p.stop(10 * time.Second) })
	stage.guard(p)
	printed(t, p, "up")
	stop()
	if err := stage.close(); err == nil || !strings.Contains(err.Error(), "signal: terminated") {
		t.Errorf("the script dies of the signal, which is told: %v", err)
	}
	if p.alive() == nil {
		t.Error("the program still runs")
	}
	if _, err := os.Stat(stage.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", stage.dir, err)
	}
}

func TestAProgramThatDiesEndsTheStory(t *testing.T) {
	stage, err := openStage(t.Context(), "/bin/true", newTimeline(&bytes.Buffer{}, false, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	p := sh(t, `echo out of memory; exit 3`)
	stage.guard(p)
	<-stage.watch.Done()
	var step *stepError
	if err := context.Cause(stage.watch); !errors.As(err, &step) || err.Error() != "keep script running: script ended: exit status 3" {
		t.Errorf("%v", err)
	}
	if err := stage.close(); err != nil {
		t.Error(err)
	}
}
