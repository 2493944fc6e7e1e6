package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd/serve"
)

// sockets are the listening sockets that health is served on. One that was passed by whoever started the process is taken before a new one
// is opened: a socket unit's, or our own from before a restart, which systemd kept where the unit has FileDescriptorStoreMax=. Such a
// socket never refuses: what connects between the end of one process and the start of the next waits for the next.
type sockets struct {
	log *zap.Logger

	mu     sync.Mutex
	passed []passed // and not in use
}

// passed is a socket that was open before this process, and the name it came with.
type passed struct {
	*net.TCPListener
	name string
}

// A socket is one of them, in use under a name.
type socket struct {
	name  string
	addr  netip.AddrPort
	file  *os.File         // for as long as the address is ours
	first *net.TCPListener // for the first server; nil once it has it
}

func newSocket(name string, addr netip.AddrPort, l *net.TCPListener) (*socket, error) {
	f, err := l.File()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("health.%s: %w", name, err), l.Close())
	}
	return &socket{name, addr, f, l}, nil
}

// newSockets takes what was passed to this process ($LISTEN_FDS), which nothing else in it may do.
func newSockets(log *zap.Logger) (*sockets, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("take the sockets that were passed: %w", err)
	}
	s := &sockets{log: log}
	for name, all := range named {
		for _, l := range all {
			tcp, ok := l.(*net.TCPListener)
			if !ok {
				log.Warn("a socket was passed that is not for TCP", zap.String("name", name), zap.Stringer("address", l.Addr()))
				_ = l.Close() // nobody will use it
				continue
			}
			s.passed = append(s.passed, passed{tcp, name})
		}
	}
	return s, nil
}

// open gives the socket at an address: one that was passed, or a new one, of which systemd gets a copy for the next process.
func (s *sockets) open(name string, addr netip.AddrPort) (*socket, error) {
	if p, ok := s.take(addr); ok {
		s.log.Info("a socket was passed", zap.String("for", name), zap.Stringer("address", p.Addr()))
		return newSocket(name, addr, p.TCPListener)
	}
	listen := serve.Listen
	if name == "grpc" { // its streams have no end of their own
		listen = func(_ context.Context, address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	l, err := listen(context.Background(), addr.String())
	if err != nil {
		return nil, fmt.Errorf("health.%s: %w; is another lbmedic running?", name, err)
	}
	opened, err := newSocket(name, addr, l.(*net.TCPListener)) // what a listen on tcp returns
	if err != nil {
		return nil, err
	}
	if err := storeSocket(opened); err != nil {
		s.log.Warn("a restart will refuse connections for a moment: systemd does not keep the socket", zap.String("for", name), zap.Error(err))
	}
	return opened, nil
}

// free reports why the address could not be opened now; nil: it could.
func (s *sockets) free(name string, addr netip.AddrPort) error {
	s.mu.Lock()
	waiting := slices.ContainsFunc(s.passed, func(p passed) bool { return isAt(p, addr) })
	s.mu.Unlock()
	if waiting {
		return nil
	}
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		return fmt.Errorf("health.%s: %w; is another lbmedic running?", name, err)
	}
	return l.Close()
}

func (s *sockets) take(addr netip.AddrPort) (passed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.passed, func(p passed) bool { return isAt(p, addr) })
	if i < 0 {
		return passed{}, false
	}
	p := s.passed[i]
	s.passed = slices.Delete(s.passed, i, i+1)
	return p, true
}

// isAt reports whether a socket is what a listen at addr would give: 0.0.0.0 and [::] both mean everywhere.
func isAt(l net.Listener, addr netip.AddrPort) bool {
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return false
	}
	bound := at.AddrPort()
	same := bound.Addr().Unmap() == addr.Addr().Unmap() || bound.Addr().IsUnspecified() && addr.Addr().IsUnspecified()
	return same && bound.Port() == addr.Port() && addr.Port() != 0
}

// release closes what was passed and no port wants. What systemd kept of ours it forgets, or connections there would wait for ever.
func (s *sockets) release(wanted []port) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	s.passed = slices.DeleteFunc(s.passed, func(p passed) bool {
		if slices.ContainsFunc(wanted, func(w port) bool { return isAt(p, w.addr) }) {
			return false
		}
		s.log.Warn("a socket was passed that no address of health wants", zap.String("name", p.name), zap.Stringer("address", p.Addr()))
		errs = append(errs, p.Close(), forgetSocket(p.name))
		return true
	})
	return errors.Join(errs...)
}

// share gives one more listener on the same socket. Two that accept from it take turns, so that a server can be replaced by another
// while neither a waiting nor a new connection is lost. The first is as it was opened; of others Go does not know how they were.
func (s *socket) share() (net.Listener, error) {
	if l := s.first; l != nil {
		s.first = nil
		return l, nil
	}
	l, err := net.FileListener(s.file)
	if err != nil {
		return nil, fmt.Errorf("share the socket of health.%s: %w", s.name, err)
	}
	return l, nil
}

// close gives up what no server has.
func (s *socket) close() error {
	err := s.file.Close()
	if s.first != nil {
		err = errors.Join(err, s.first.Close())
	}
	return err
}

// drop ends the socket for good: the next process does not get it either.
func (s *socket) drop() error { return errors.Join(s.close(), forgetSocket(s.stored())) }
