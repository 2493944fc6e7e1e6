package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// script answers each request by the next of its functions, the last again and again, and notes when it was asked what.
type script struct {
	answers []func(*http.Request) (*http.Response, error)
	asked   []time.Time
	after   []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	n := len(s.asked)
	s.asked, s.after = append(s.asked, time.Now()), append(s.after, r.URL.Query().Get("after"))
	return s.answers[min(n, len(s.answers)-1)](r)
}

func refused(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }

func says(generation string, wait time.Duration) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if !sleep(r.Context(), wait) {
			return nil, r.Context().Err()
		}
		h := http.Header{"Content-Type": {"application/health+json"}}
		if generation != "" {
			h.Set("Lbmedic-Generation", generation)
		}
		return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(`{"status":"pass"}`)), Request: r}, nil
	}
}

// follow for d, and give what was heard.
func follow(t *testing.T, s *script, d time.Duration) (heard []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	New(Settings{Transport: s}).Follow(ctx, "http://sidecar/health/web", func(a Answer, err error) {
		heard = append(heard, fmt.Sprint(a.Generation, errors.Is(err, ErrNotSidecar), err != nil))
	})
	return heard
}

func TestFollowTriesARefusingSidecarEverySecondAtLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) (*http.Response, error){says("abc-7", 0), refused, refused, refused, refused, refused, refused, refused, refused, says("def-1", 0), refused}}
		heard := follow(t, s, time.Minute)
		for i := 1; i < len(s.asked); i++ {
			if gap := s.asked[i].Sub(s.asked[i-1]); gap > lastRetry || gap < pace/2 {
				t.Errorf("try %d came %s after the one before", i, gap)
			}
		}
		if s.after[0] != "" || s.after[1] != "abc-7" || s.after[2] != "" || s.after[9] != "" || s.after[10] != "def-1" {
			t.Errorf("asked after %q", s.after[:11])
		}
		if n := len(s.asked); n < 60 || n > 130 {
			t.Errorf("%d tries in a minute", n)
		}
		if len(heard) != len(s.asked) {
			t.Errorf("asked %d times, told %d", len(s.asked), len(heard))
		}
	})
}

func TestFollowAsksAnotherProgramOnceAMinuteAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) (*http.Response, error){says("", 0)}}
		heard := follow(t, s, time.Hour)
		for i := 1; i < len(s.asked); i++ {
			if gap := s.asked[i].Sub(s.asked[i-1]); gap < time.Minute {
				t.Errorf("asked again after %s", gap)
			}
			if s.after[i] != "" {
				t.Error("long-polled")
			}
		}
		if n := len(s.asked); n < 25 || n > 60 || heard[0] != "true true" {
			t.Errorf("%d times in an hour, heard %v", n, heard[0])
		}
	})
}

func TestFollowCostsAnIdleSidecarOnePollPerWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) (*http.Response, error){says("abc-7", 0), says("abc-7", PollWait)}}
		follow(t, s, time.Hour)
		if n := len(s.asked); n < 118 || n > 122 {
			t.Errorf("%d polls in an hour", n)
		}
	})
}

func TestFollowSparesASidecarThatDoesNotWait(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		most   int
	}{
		"too many callers": {says("abc-7", 0), 125},
		"always new": {func(r *http.Request) (*http.Response, error) {
			return says(fmt.Sprintf("abc-%d", time.Now().UnixNano()), 0)(r)
		}, 3100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []func(*http.Request) (*http.Response, error){c.answer}}
				follow(t, s, time.Minute)
				if n := len(s.asked); n > c.most || n < 30 {
					t.Errorf("%d polls in a minute", n)
				}
			})
		})
	}
}

func TestFollowSaysNothingOfItsOwnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) (*http.Response, error){says("abc-7", 0), says("abc-7", time.Hour)}}
		if heard := follow(t, s, 5*time.Second); len(heard) != 1 {
			t.Errorf("heard %v", heard)
		}
	})
}
