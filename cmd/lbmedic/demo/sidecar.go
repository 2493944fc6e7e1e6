package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// listener hears what a sidecar holds of its app, by the same long poll as a controller's. It keeps the time of the
// check behind each change, which healthd/client does not give.
type listener struct {
	server string
	url    string
	tell   func(Word, string) // of each change, with what the sidecar says about it
	client http.Client

	mu      sync.Mutex
	words   []Word
	changed chan struct{} // closed and replaced with each word
}

func newListener(server, address string, tell func(Word, string)) *listener {
	return &listener{server: server, url: address, tell: tell, changed: make(chan struct{}),
		client: http.Client{Timeout: pollWait + 5*time.Second}}
}

const (
	pollWait  = 10 * time.Second
	pollRetry = 50 * time.Millisecond
	maxHealth = 1 << 20
)

// report is what is read of health+json.
type healthReport struct {
	Status string                   `json:"status"`
	Output string                   `json:"output"`
	Checks map[string][]measurement `json:"checks"`
}

type measurement struct {
	Time          time.Time `json:"time"`          // when the last check began
	ObservedValue float64   `json:"observedValue"` // how long it took, in milliseconds
}

// ended is when the last check of all ended.
func (r healthReport) ended() time.Time {
	var last time.Time
	for _, values := range r.Checks {
		for _, m := range values {
			if end := m.Time.Add(time.Duration(m.ObservedValue * float64(time.Millisecond))); end.After(last) {
				last = end
			}
		}
	}
	return last
}

// Run listens until ctx is done.
func (l *listener) Run(ctx context.Context) error {
	defer l.client.CloseIdleConnections()
	after := ""
	for ctx.Err() == nil {
		r, generation, err := l.ask(ctx, after)
		if err != nil {
			after = ""
			pause := time.NewTimer(pollRetry)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			continue
		}
		after = generation
		l.take(r)
	}
	return nil
}

func (l *listener) ask(ctx context.Context, after string) (healthReport, string, error) {
	address := l.url
	if after != "" {
		address += "?" + url.Values{"after": {after}, "wait": {pollWait.String()}}.Encode()
	}
	var r healthReport
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return r, "", err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return r, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return r, "", err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, "", fmt.Errorf("%s answers %d without health+json: %w", l.url, resp.StatusCode, err)
	}
	if resp.Header.Get("Lbmedic-State") != "" { // starting or stale: nothing of this run yet
		r.Status = ""
	}
	return r, resp.Header.Get("Lbmedic-Generation"), nil
}

func (l *listener) take(r healthReport) {
	l.mu.Lock()
	if r.Status == "" || len(l.words) > 0 && l.words[len(l.words)-1].Status == r.Status {
		l.mu.Unlock()
		return
	}
	w := Word{Server: l.server, Status: r.Status, At: r.ended()}
	l.words = append(l.words, w)
	if len(l.words) > maxSeen {
		l.words = slices.Clone(l.words[len(l.words)/2:])
	}
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	l.tell(w, r.Output)
}

// await returns once the sidecar holds that status.
func (l *listener) await(ctx context.Context, status string) error {
	for {
		l.mu.Lock()
		holds := len(l.words) > 0 && l.words[len(l.words)-1].Status == status
		changed := l.changed
		l.mu.Unlock()
		if holds {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// heard are all words up to now.
func (l *listener) heard() []Word {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.words)
}

// passedSince returns once the sidecar passes because of a check that ended after that time, whatever it said before.
func (l *listener) passedSince(ctx context.Context, after time.Time) error {
	for {
		r, _, err := l.ask(ctx, "")
		if err == nil && r.Status == "pass" && r.ended().After(after) {
			return nil
		}
		pause := time.NewTimer(pollRetry)
		select {
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("it says %q: %w", r.Output, context.Cause(ctx))
		case <-pause.C:
		}
	}
}
