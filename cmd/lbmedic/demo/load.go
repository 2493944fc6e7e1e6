package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	rate      = 200 // requests in a second through HAProxy, in an even rhythm whatever the answers do
	nginxRate = 50  // through nginx

	answerWithin  = 5 * time.Second
	maxInFlight   = 1000 // rate for as long as an answer may take
	maxAnswerSize = 64 << 10
)

// load is users: steady POSTs on new connections, mixed with connections that are kept. Nothing is sent twice: a POST whose body
// cannot be read again is not repeated by Go's client, which would hide what was lost.
type load struct {
	url   string
	rate  int         // requests in a second
	fresh http.Client // a new connection each
	kept  http.Client // connections that are kept and used again; every other request, where mixed
	mixed bool
	tally *tally
}

// answer is what became of one request.
type answer struct {
	status int
	by     string // the app and release that answered
	text   string // the first line of the answer
	took   time.Duration
	err    error
}

func newLoad(target string, rate int, mixed bool, t *tally) *load {
	// Connections are given up here long before HAProxy closes them (timeout http-keep-alive), so that none is used in
	// the moment in which the other side closes it.
	kept := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 5 * time.Second}
	fresh := &http.Transport{DisableKeepAlives: true}
	return &load{url: target, rate: rate, mixed: mixed, tally: t,
		fresh: http.Client{Transport: fresh, Timeout: answerWithin}, kept: http.Client{Transport: kept, Timeout: answerWithin}}
}

// Run sends until ctx is done, and returns when every answer has come or was given up.
func (l *load) Run(ctx context.Context) error {
	var flying sync.WaitGroup
	places := make(chan struct{}, maxInFlight)
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer l.kept.CloseIdleConnections()
	defer flying.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		phase := l.tally.sent()
		select {
		case places <- struct{}{}:
			flying.Go(func() {
				defer func() { <-places }()
				// The end of the load is no end of the requests under way.
				l.tally.ended(phase, l.send(context.WithoutCancel(ctx), n))
			})
		default:
			l.tally.ended(phase, answer{err: fmt.Errorf("%d requests are waiting for an answer already", maxInFlight)})
		}
		next = next.Add(time.Second / time.Duration(l.rate))
		if late := time.Since(next); late > time.Second { // this machine stood still: do not make up for it in one burst
			next = next.Add(late)
		}
		timer.Reset(time.Until(next))
	}
}

// once is a body that cannot be read a second time.
type once struct{ io.Reader }

func (l *load) send(ctx context.Context, n int) answer {
	body := fmt.Sprintf("order %d", n)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, once{strings.NewReader(body)})
	if err != nil {
		return answer{err: err}
	}
	req.ContentLength = int64(len(body))
	client := &l.fresh
	if l.mixed && n%2 == 1 {
		client = &l.kept
	}
	begun := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerSize))
	if err != nil {
		return answer{err: fmt.Errorf("the answer broke off: %w", err)}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return answer{status: resp.StatusCode, by: resp.Header.Get(appHeader), text: fmt.Sprintf("%d %s", resp.StatusCode, line), took: time.Since(begun)}
}
