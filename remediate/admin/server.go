// Package admin is how people and the command line reach a running lbmedic: an API on a unix socket, and its client.
// Whoever may open the socket may give orders; the operator's name, as the kernel tells it, is written down with each.
// Other lbmedics reach it over TCP with certificates: a sidecar that drains asks the controllers whether it is drained.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// DefaultGroup is the group that may open the socket, where the host has it.
const DefaultGroup = "lbmedic"

// Server answers on a unix socket. Its fields are set before Run and not changed afterwards; Replace swaps controllers,
// ReplaceFleet whom it knows over TCP.
type Server struct {
	Socket      string                         // path; its folder is made where it is missing
	Group       string                         // who may open it besides the owner; empty: DefaultGroup. Where the host has no such group only the owner may
	Version     string                         // of lbmedic
	Controllers map[string]*control.Controller // by the name of their balancer; may be empty
	Book        *control.Book                  // nil: no journal, so nothing that needs one is done
	Board       *probe.Board                   // nil: no local health services
	Leases      *probe.Keeper                  // of the Board's services; nil: orders for them have no end and no owner
	Views       *serve.Views                   // what balancers say of this host; nil: nothing
	Witnesses   *Witnesses                     // the controllers that know whether a local service is drained; nil: none
	DrainWait   time.Duration                  // how long a drain of a local service is waited for without Witnesses; 30 s
	Remote      *Remote                        // over TCP as well; nil: not
	Reading     func() Reading                 // what became of the configuration; nil: not known
	Log         *zap.Logger                    // nil logs nothing

	listener net.Listener // nil before Listen

	mu      sync.Mutex
	streams int                    // streams that are open
	turns   map[string]*sync.Mutex // by balancer
	stop    chan struct{}          // closed when Run stops: ends the streams
	once    sync.Once              // makes stop
	ended   sync.Once              // closes it
}

// Bounds of what one caller may cost.
const (
	maxBody    = 64 << 10         // of a request, in bytes
	maxStreams = 64               // open at a time
	actTime    = time.Minute      // for one order
	writeTime  = 10 * time.Second // for one piece of an answer to be taken
	graceTime  = 5 * time.Second  // for orders that are being carried out when Run stops
)

// Replace has other controllers work from now on, after a reload of the configuration.
func (s *Server) Replace(controllers map[string]*control.Controller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Controllers = controllers
}

// ReplaceFleet has other controllers asked, and other names admitted over TCP, from now on. Where Remote listens stays as it is.
func (s *Server) ReplaceFleet(witnesses *Witnesses, drainWait time.Duration, allow map[string]Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Witnesses, s.DrainWait = witnesses, drainWait
	if s.Remote != nil {
		s.Remote.Allow = allow
	}
}

func (s *Server) witnesses() (*Witnesses, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Witnesses, s.DrainWait
}

func (s *Server) allowed() map[string]Role {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Remote.Allow
}

func (s *Server) controllers() map[string]*control.Controller {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Controllers
}

// Listen opens the socket for Run, so that one which is taken is known before anything else begins, and the port of Remote. It fails where
// another process answers on the socket, or where something that is no socket is in its place. Close takes both back.
func (s *Server) Listen(ctx context.Context) (err error) {
	if s.listener, err = s.listen(ctx); err != nil {
		return fmt.Errorf("serve the admin API: %w", err)
	}
	if s.Remote != nil {
		if err := s.Remote.open(ctx, s.log()); err != nil {
			return errors.Join(err, s.listener.Close())
		}
	}
	return nil
}

// Close closes what Listen opened, of a server that does not Run after all.
func (s *Server) Close() error {
	if s.Remote != nil {
		return closeAll(s.listener, s.Remote.listener)
	}
	return closeAll(s.listener)
}

// Run serves until ctx is done; orders that are being carried out then have five seconds to end. It opens the socket if
// Listen has not.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(ctx); err != nil {
			return err
		}
	}
	if s.Remote == nil {
		return s.serve(ctx, s.listener, s.handler())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	remote := make(chan error, 1)
	go func() {
		defer cancel()
		remote <- s.serve(ctx, s.Remote.listener, s.admitted(s.handler()))
	}()
	err := s.serve(ctx, s.listener, s.handler())
	cancel()
	return errors.Join(err, <-remote)
}

func (s *Server) serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ConnContext:       withOperator,
		ReadHeaderTimeout: 5 * time.Second, // of a handshake too
		ReadTimeout:       15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          zap.NewStdLog(s.log()),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve the admin API on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.endStreams()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // what was cut off is in the journal as an intent, and is read back at the next start
	}
	<-failed
	return err
}

// endStreams closes stopped.
func (s *Server) endStreams() {
	stop := s.stopped()
	s.ended.Do(func() { close(stop) })
}

// stopped is closed when Run stops.
func (s *Server) stopped() chan struct{} {
	s.once.Do(func() { s.stop = make(chan struct{}) })
	return s.stop
}

func (s *Server) log() *zap.Logger {
	if s.Log == nil {
		return zap.NewNop()
	}
	return s.Log
}
