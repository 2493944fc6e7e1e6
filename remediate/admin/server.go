// Package admin is how people and the command line reach a running lbmedic: an API on a unix socket, and its client.
// Whoever may open the socket may give orders; the operator's name, as the kernel tells it, is written down with each.
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
	"github.com/lbmedic/lbmedic/remediate/control"
)

// DefaultGroup is the group that may open the socket, where the host has it.
const DefaultGroup = "lbmedic"

// Server answers on a unix socket. Its fields are set before Run and not changed afterwards; Replace swaps controllers.
type Server struct {
	Socket      string                         // path; its folder is made where it is missing
	Group       string                         // who may open it besides the owner; empty: DefaultGroup. Where the host has no such group only the owner may
	Version     string                         // of lbmedic
	Controllers map[string]*control.Controller // by the name of their balancer; may be empty
	Book        *control.Book                  // nil: no journal, so nothing that needs one is done
	Board       *probe.Board                   // nil: no local health services
	Log         *zap.Logger                    // nil logs nothing

	listener net.Listener // nil before Listen

	mu      sync.Mutex
	streams int                    // streams that are open
	turns   map[string]*sync.Mutex // by balancer
	stop    chan struct{}          // closed when Run stops: ends the streams
	once    sync.Once
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

func (s *Server) controllers() map[string]*control.Controller {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Controllers
}

// Listen opens the socket for Run, so that one which is taken is known before anything else begins. It fails where
// another process answers on the socket, or where something that is no socket is in its place. Close takes it back.
func (s *Server) Listen(ctx context.Context) (err error) {
	if s.listener, err = s.listen(ctx); err != nil {
		return fmt.Errorf("serve the admin API: %w", err)
	}
	return nil
}

// Close closes the socket of a server that does not Run after all.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	return s.listener.Close()
}

// Run serves until ctx is done; orders that are being carried out then have five seconds to end. It opens the socket if
// Listen has not.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(ctx); err != nil {
			return err
		}
	}
	return s.serve(ctx, s.listener)
}

func (s *Server) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.handler(),
		ConnContext:       withOperator,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          zap.NewStdLog(s.log()),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve the admin API on %s: %w", s.Socket, err)
	case <-ctx.Done():
	}
	close(s.stopped())
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // what was cut off is in the journal as an intent, and is read back at the next start
	}
	<-failed
	return err
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
