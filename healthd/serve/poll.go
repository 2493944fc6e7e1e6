package serve

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// MaxWait caps a long poll; DefaultWait is for one that names no wait.
const (
	MaxWait     = 60 * time.Second
	DefaultWait = 30 * time.Second
)

// poll is a request to be answered when something has changed since, or after wait. The zero value waits for nothing.
type poll struct {
	instance   string
	generation uint64
	wait       time.Duration
}

// parse reads the query of a request about health. Parameters that are not ours are ignored, as any web server does; a value that is
// not from the list of one that is ours is an error, for a balancer that was told wrong is better noticed on the first day.
func parse(query string) (a asked, p poll, err error) {
	a = usual
	values, err := url.ParseQuery(query)
	if err != nil {
		return a, p, fmt.Errorf("the query cannot be read: %s", healthd.Line(err.Error(), 100))
	}
	switch v := values.Get("warn"); v {
	case "", "200":
	case "429":
		a.warn = http.StatusTooManyRequests
	default:
		return a, p, fmt.Errorf("warn=%s is neither 200 nor 429", healthd.Line(v, 20))
	}
	switch v := values.Get("drain"); v {
	case "", "503":
	case "404":
		a.out = http.StatusNotFound
	default:
		return a, p, fmt.Errorf("drain=%s is neither 503 nor 404", healthd.Line(v, 20))
	}
	_, a.brief = values["brief"]
	after := values.Get("after")
	if after == "" {
		return a, p, nil
	}
	if p.instance, p.generation, err = healthd.ParseTag(after); err != nil {
		return a, p, fmt.Errorf("after: %w", err)
	}
	p.wait = DefaultWait
	if v := values.Get("wait"); v != "" {
		if p.wait, err = time.ParseDuration(v); err != nil {
			return a, p, fmt.Errorf("wait=%s is no duration like 30s", healthd.Line(v, 20))
		}
	}
	p.wait = min(p.wait, MaxWait)
	return a, p, nil
}

// await returns the book in which the page is newer than what the caller knows, or the latest when the wait is over, the caller has gone,
// we stop, or too many wait already.
func (h *HTTP) await(r *http.Request, p poll, t topic, b *book) *book {
	if h.waiting.Add(1) > int64(h.limits.Waiting) {
		h.waiting.Add(-1)
		return b
	}
	defer h.waiting.Add(-1)
	if c, ok := r.Context().Value(callerKey{}).(*conn); ok {
		if !c.guard.await(c) {
			return b
		}
		defer c.guard.answer(c)
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.wait)
	defer cancel()
	for {
		page, _ := b.page(t)
		if page == nil || b.snapshot.Instance != p.instance || page.generation > p.generation || b.snapshot.Generation < p.generation {
			return b
		}
		_, err := h.source.Wait(ctx, b.snapshot.Generation)
		b = h.books.latest()
		if err != nil {
			return b
		}
	}
}
