package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// A lame duck waits for as long as somebody has business here, and no longer.
func TestTheLameDuckWaitsForThoseWhoAreThere(t *testing.T) {
	const limit = 30 * time.Second
	nobody, edge := presence{known: true}, presence{known: true, who: []string{"10.0.0.1 web/app1 UP, 3 sessions"}}
	for name, c := range map[string]struct {
		present func(since time.Duration) presence
		want    string
		least   time.Duration
		most    time.Duration
	}{
		"nobody tells its view": {func(time.Duration) presence { return presence{} }, "all had time to hear", deafDrain, deafDrain + drainBeat},
		"everybody is gone":     {func(time.Duration) presence { return nobody }, "every balancer has left", leaveAgain, leaveAgain + drainBeat},
		"one leaves after 6 s": {func(at time.Duration) presence {
			if at < 6*time.Second {
				return edge
			}
			return nobody
		}, "every balancer has left", 6*time.Second + leaveAgain, 6*time.Second + leaveAgain + 2*drainBeat},
		"one comes back in between": {func(at time.Duration) presence {
			if at > time.Second && at < 3*time.Second {
				return nobody
			}
			if at < 10*time.Second && at%(2*time.Second) < time.Second {
				return edge
			}
			if at < 12*time.Second {
				return edge
			}
			return nobody
		}, "every balancer has left", leaveAgain, 12*time.Second + leaveAgain + 2*drainBeat},
		"one never leaves": {func(time.Duration) presence { return edge }, "still there: 10.0.0.1 web/app1 UP, 3 sessions", limit, limit},
		"a view comes late": {func(at time.Duration) presence {
			if at < 5*time.Second {
				return presence{}
			}
			return edge
		}, "term_timeout is over", limit, limit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, told := time.Now(), 0
				got := lameDuck{limit: limit, tell: func(string) { told++ },
					present: func(since time.Time) presence { return c.present(time.Since(since)) }}.wait(t.Context())
				if !strings.Contains(got, c.want) {
					t.Errorf("it ended because %q", got)
				}
				took := time.Since(begun)
				if took < c.least || took > c.most {
					t.Errorf("it took %s, want %s to %s", took, c.least, c.most)
				}
				// systemd waits 5 s for each next word.
				if least := int(took / extend); told <= least {
					t.Errorf("systemd heard of it %d times in %s", told, took)
				}
			})
		})
	}
}

func TestTheLameDuckEndsAtOnceWhereItIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second+time.Millisecond)
		defer cancel()
		begun := time.Now()
		l := lameDuck{limit: time.Minute, tell: func(string) {}, present: func(time.Time) presence { return presence{} }}
		if got := l.wait(ctx); got != "it was cut short" || time.Since(begun) != 3*time.Second+time.Millisecond {
			t.Errorf("%q after %s", got, time.Since(begun))
		}
	})
}

// A drain that no disk keeps is told all the same, and waited for.
func TestStopIsToldThoughItCannotBeKept(t *testing.T) {
	h := newHouse(t)
	s := settings{http: peertest.Port(t), agent: peertest.Port(t), more: "  on_term: drain\n"}
	d := h.run(s)
	state := filepath.Join(h.dir, "state", "health")
	if err := os.Rename(state, state+".gone"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ready := func() int {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/health/web", s.http))
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := ready(); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { d.Drain(ctx); close(over) }()
	waitFor(t, "the stop is told", func() bool { return ready() == http.StatusServiceUnavailable })
	select {
	case <-over:
		t.Error("nobody was waited for")
	default:
	}
	cancel()
	<-over
}

func TestDiskThatHangsKeepsNoStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		begun := time.Now()
		if err := keptWithin(keepDrain, func() error { <-thaw; return nil }); err == nil || time.Since(begun) != keepDrain {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		close(thaw)
		broken := errors.New("read-only file system")
		if err := keptWithin(keepDrain, func() error { return broken }); err != broken {
			t.Errorf("got %v", err)
		}
	})
}
