package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// app is a web application whose dependency can fail while its port stays open.
type app struct {
	name    string
	address string
	broken  atomic.Bool
	hits    atomic.Int64 // requests of users
	alive   atomic.Int64 // checks by the balancer itself
	held    atomic.Int64 // slow requests that are being served
	release chan struct{}
	failed  chan time.Time // when /healthz answered 503, while there is room
}

// newApp serves at address until the test ends. /alive always answers; /healthz fails while the app is broken; so do
// requests of users. /slow?on=NAME is held at the app of that name until release is given a value for each.
func newApp(t *testing.T, name, address string) *app {
	t.Helper()
	a := &app{name: name, address: address, release: make(chan struct{}), failed: make(chan time.Time, 64)}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(a)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(func() {
		close(a.release)
		server.CloseClientConnections()
		server.Close()
	})
	return a
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("App", a.name)
	broken := a.broken.Load()
	switch {
	case r.URL.Path == "/alive":
		a.alive.Add(1)
	case r.URL.Path == "/healthz":
		if broken {
			select {
			case a.failed <- time.Now():
			default:
			}
			http.Error(w, "the orders database is gone", http.StatusServiceUnavailable)
		}
	case r.URL.Path == "/slow" && r.URL.Query().Get("on") == a.name:
		_, _ = io.Copy(io.Discard, r.Body)
		a.held.Add(1)
		defer a.held.Add(-1)
		<-a.release
		fmt.Fprintln(w, a.name)
	case broken:
		a.hits.Add(1)
		http.Error(w, "the orders database is gone", http.StatusInternalServerError)
	default:
		a.hits.Add(1)
		fmt.Fprintln(w, a.name)
	}
}
