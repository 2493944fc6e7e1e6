package demo

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheTimelineIsInTheOrderOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		begun := time.Now()
		line := newTimeline(&out, false, begun)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- line.Run(ctx) }()
		line.tell(begun.Add(30*time.Millisecond), "haproxy", bad, "second, told first")
		line.tell(begun.Add(10*time.Millisecond), "sidecar", bad, "first, told second")
		line.tell(begun.Add(30*time.Millisecond), "demo", plain, "third, of the same time as the second")
		time.Sleep(2 * settle)
		synctest.Wait()
		want := "    0.010 s  sidecar   first, told second\n" +
			"    0.030 s  haproxy   second, told first\n" +
			"    0.030 s  demo      third, of the same time as the second\n"
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
		line.tell(begun.Add(time.Second), "users", plain, "not settled yet")
		cancel()
		if err := <-done; err != nil || !strings.HasSuffix(out.String(), "1.000 s  users     not settled yet\n") {
			t.Errorf("the end prints the rest: %q, %v", out.String(), err)
		}
		if got := line.told(); len(got) != 4 || got[0].Who != "sidecar" || got[0].Offset != 10 {
			t.Errorf("%+v", got)
		}
	})
}

func TestColoursAreForTerminals(t *testing.T) {
	e := Event{Who: "haproxy", Text: "app1: UP → DOWN", tone: bad}
	if got := e.line(false); strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
	if got := e.line(true); !strings.Contains(got, "\x1b[31mapp1: UP → DOWN\x1b[0m") {
		t.Errorf("%q", got)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestATimelineThatCannotBePrintedIsAnError(t *testing.T) {
	line := newTimeline(fullDisk{}, false, time.Now())
	line.tell(time.Now(), "demo", plain, "x")
	if err := line.flush(); err == nil || !strings.Contains(err.Error(), "print the timeline: no space left") {
		t.Errorf("%v", err)
	}
}
