package demo

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// running is an app that serves until the test ends.
type running struct {
	t    *testing.T
	app  App
	need *dependency
	stop context.CancelFunc
	done chan error
}

func run(t *testing.T) *running {
	t.Helper()
	port, err := freePort(0, []string{"127.0.0.2", "127.0.0.3"})
	if err != nil {
		t.Fatal(err)
	}
	at := func(host string) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
	r := &running{t: t, need: &dependency{address: at("127.0.0.3")}, done: make(chan error, 1)}
	r.app = App{Name: "app1", Release: "v1", Listen: at("127.0.0.2"), Dependency: r.need.address}
	if err := r.need.heal(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.need.fail)
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.done <- r.app.Run(ctx) }()
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := poll(bounded, func() error {
		conn, err := net.Dial("tcp", r.app.Listen)
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

func (r *running) ask(method, path string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.app.Listen+path, strings.NewReader("order"))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestAnAppFailsWithItsDependencyWhileItsPortStaysOpen(t *testing.T) {
	r := run(t)
	expect := func(method, path string, code int, text string) {
		t.Helper()
		if got, said := r.ask(method, path); got != code || !strings.Contains(said, text) {
			t.Errorf("%s %s: %d %q, want %d with %q", method, path, got, said, code, text)
		}
	}
	expect("POST", "/", 200, "app1 v1\n")
	expect("GET", "/", 200, "app1 v1\n")
	expect("GET", "/healthz", 200, "ok\n")
	expect("GET", "/elsewhere", 404, "")
	expect("DELETE", "/", 405, "")
	r.need.fail()
	r.need.fail()
	expect("POST", "/", 500, "app1: its dependency does not answer")
	expect("GET", "/healthz", 503, "app1: its dependency does not answer")
	for range 2 {
		if err := r.need.heal(); err != nil {
			t.Fatal(err)
		}
	}
	expect("POST", "/", 200, "app1 v1\n")
}

func TestAStoppedAppFinishesWhatIsUnderWay(t *testing.T) {
	r := run(t)
	conn, err := net.Dial("tcp", r.app.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	begun := make([]byte, len("HTTP/1.1 100"))
	if _, err := io.ReadFull(conn, begun); err != nil || string(begun) != "HTTP/1.1 100" { // the handler has begun to read
		t.Fatalf("%q, %v", begun, err)
	}
	r.stop()
	select {
	case err := <-r.done:
		t.Fatalf("it ended with a request under way: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := io.WriteString(conn, "order"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(rest), "HTTP/1.1 200 OK") || !strings.Contains(string(rest), "app1 v1") {
		t.Errorf("%q, %v", rest, err)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

func TestAnAppThatIsStoppedWhileItStartsNeverListens(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- App{Name: "app1", Listen: "no address", Boot: time.Hour}.Run(ctx) }()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnAppWhosePortIsTakenSaysSo(t *testing.T) {
	r := run(t)
	err := r.app.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "app1: listen tcp "+r.app.Listen) {
		t.Errorf("%v", err)
	}
}
