package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// App is one of the three small apps. It needs its dependency for every answer but keeps its port open without it, as
// an app does whose database is gone.
type App struct {
	Name       string        // "app1"
	Release    string        // "v1"
	Listen     string        // host:port
	Dependency string        // host:port
	Boot       time.Duration // how long it takes to start before it listens
}

// appHeader names who answered.
const appHeader = "App"

const (
	work           = 15 * time.Millisecond // what a request costs, so that some are always under way
	dependencyTime = 500 * time.Millisecond
	stopTime       = 5 * time.Second
	maxOrder       = 64 << 10
)

// Run serves until ctx is done and then finishes the requests under way.
func (a App) Run(ctx context.Context) error {
	if dwell(ctx, a.Boot) != nil {
		return nil
	}
	l, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	server := &http.Server{Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("%s: serve %s: %w", a.Name, a.Listen, err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err = server.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(fmt.Errorf("requests were still under way after %s", stopTime), server.Close())
	}
	<-ended
	if err != nil {
		return fmt.Errorf("%s: stop: %w", a.Name, err)
	}
	return nil
}

func (a App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.serve)
	mux.HandleFunc("POST /{$}", a.serve)
	mux.HandleFunc("GET /healthz", a.healthz)
	return mux
}

func (a App) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(appHeader, a.Name+" "+a.Release)
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxOrder)); err != nil {
		http.Error(w, a.Name+": read the order: "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := a.ask(r.Context()); err != nil {
		http.Error(w, a.Name+": "+err.Error(), http.StatusInternalServerError)
		return
	}
	wait := time.NewTimer(work)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
		return
	}
	fmt.Fprintf(w, "%s %s\n", a.Name, a.Release)
}

// healthz is the deep check: it asks what every request needs.
func (a App) healthz(w http.ResponseWriter, r *http.Request) {
	if err := a.ask(r.Context()); err != nil {
		http.Error(w, a.Name+": "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// ask asks the dependency, which answers one line to whoever connects.
func (a App) ask(ctx context.Context) error {
	dialer := net.Dialer{Timeout: dependencyTime}
	conn, err := dialer.DialContext(ctx, "tcp", a.Dependency)
	if err != nil {
		return fmt.Errorf("its dependency does not answer: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(dependencyTime)); err != nil {
		return fmt.Errorf("ask its dependency: %w", err)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 64)).ReadString('\n')
	if err != nil || line != dependencyWord {
		return fmt.Errorf("its dependency %s answers %q: %w", a.Dependency, line, err)
	}
	return nil
}
