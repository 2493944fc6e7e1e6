package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// users sends to a handler until it has answered n requests, and gives the counts.
func users(t *testing.T, n int64, handler func(w http.ResponseWriter, r *http.Request, i int64)) (count Count, served int64) {
	t.Helper()
	var met atomic.Int64
	enough := make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := met.Add(1)
		if i >= n {
			once.Do(func() { close(enough) })
		}
		handler(w, r, i)
	}))
	defer server.Close()
	tally := newTally(Calm)
	l := newLoad(server.URL, 200, true, tally) // what a busy machine can serve too
	err := under(l, func() error {
		select {
		case <-enough:
			return nil
		case <-time.After(20 * time.Second):
			return errors.New("the load is too slow")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return tally.total()[Calm], met.Load()
}

func TestEveryRequestIsCountedOnce(t *testing.T) {
	count, served := users(t, 300, func(w http.ResponseWriter, r *http.Request, i int64) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || len(body) == 0 {
			t.Errorf("%s with %q, %v", r.Method, body, err)
		}
		w.Header().Set(appHeader, "app1 v1")
		if i%10 == 0 {
			http.Error(w, "no database", http.StatusInternalServerError)
		}
	})
	if int64(count.Sent) != served || count.OK+count.Errors+count.Lost != count.Sent {
		t.Errorf("%d were served, and counted are %+v", served, count)
	}
	if int64(count.Errors) != served/10 || count.Lost != 0 || count.By["app1 v1"] != count.OK {
		t.Errorf("of %d, every tenth is an error: %+v", served, count)
	}
	if !slices.Equal(count.Told, []string{"500 no database"}) {
		t.Errorf("told %q", count.Told)
	}
}

// A client that repeats a request whose connection broke would hide the loss: here every fifth answer is a closed
// connection, on kept connections too.
func TestALostRequestIsNotRepeated(t *testing.T) {
	count, served := users(t, 300, func(w http.ResponseWriter, _ *http.Request, i int64) {
		if i%5 != 0 {
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	})
	if int64(count.Sent) != served || int64(count.Lost) != served/5 {
		t.Errorf("%d were served, every fifth was cut off, and counted are %+v", served, count)
	}
}

func TestHalfOfTheLoadComesOnNewConnections(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	_, served := users(t, 200, func(_ http.ResponseWriter, r *http.Request, _ int64) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr]++
	})
	once := 0
	for n := range maps.Values(from) {
		if n == 1 {
			once++
		}
	}
	if int64(len(from)) == served || int64(once) < served/2-1 {
		t.Errorf("%d requests came on %d connections, %d of them with a single one", served, len(from), once)
	}
}

func TestABrokenAnswerIsLost(t *testing.T) {
	count, _ := users(t, 10, func(w http.ResponseWriter, _ *http.Request, _ int64) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "only this")
	})
	if count.Lost != count.Sent {
		t.Errorf("%+v", count)
	}
}

func TestNobodyListensIsLost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	got := newLoad("http://"+address, 1, false, newTally(Calm)).send(context.Background(), 1)
	if got.err == nil {
		t.Errorf("%+v", got)
	}
}

func TestARequestBelongsToThePhaseInWhichItWasSent(t *testing.T) {
	tally := newTally(Calm)
	p := tally.sent()
	tally.enter(Broken)
	tally.sent()
	if n := tally.underWay(); n != 1 {
		t.Errorf("%d requests of earlier phases are under way, not 1", n)
	}
	tally.ended(p, answer{status: 200, by: "app1 v1", took: 2 * time.Millisecond})
	if n := tally.underWay(); n != 0 { // that of the present phase does not count
		t.Errorf("%d requests of earlier phases are under way", n)
	}
	got := tally.total()
	if got[Calm].OK != 1 || got[Broken].Sent != 1 || got[Broken].OK != 0 {
		t.Errorf("%+v", got)
	}
}

func TestP99IsTheSlowestOfAHundred(t *testing.T) {
	tally := newTally(Calm)
	for i := range 100 {
		tally.ended(tally.sent(), answer{status: 200, took: time.Duration(i+1) * time.Millisecond})
	}
	if got := tally.total()[Calm].P99; got != 99 {
		t.Errorf("p99 of 1 to 100 ms is %v", got)
	}
	tally.ended(tally.sent(), answer{err: errors.New("lost")})
	if got := tally.total()[Calm]; got.P99 != 99 || got.Lost != 1 {
		t.Errorf("a lost request has no duration: %+v", got)
	}
}
