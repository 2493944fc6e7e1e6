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

	"go.uber.org/zap"
)

// A port is one address on which health is served, and the server that answers there.
type port struct {
	name string         // of the key in the configuration: http, agent, grpc
	addr netip.AddrPort // not valid: off
	made any            // what the server was made from: a reload with an equal value goes on with the same server
	late bool           // the server opens it itself, once it has something to say
	// serve answers until ctx ends. It calls listen once, when it can answer.
	serve func(ctx context.Context, listen func() (net.Listener, error)) error
}

// ports run the servers of one configuration, and those of the next: a server that changed is started on the same socket, or on its new
// address, before the old one ends, so that no caller is refused and none is lost.
type ports struct {
	sockets *sockets
	log     *zap.Logger
	failed  chan error

	mu      sync.Mutex
	open    map[string]*socket // by name
	serving map[string]*server // by name
	ended   bool
	running sync.WaitGroup
}

// server is a port whose server runs.
type server struct {
	port
	socket    *socket
	cancel    context.CancelFunc
	listening chan struct{} // closed when it has asked for its listener
	done      chan struct{} // closed when it has ended
	before    []*server     // whom it replaces once it listens
}

func newPorts(s *sockets, log *zap.Logger) *ports {
	return &ports{sockets: s, log: log, failed: make(chan error, 1), open: map[string]*socket{}, serving: map[string]*server{}}
}

// prepare opens what is not open yet of the next ports. On an error nothing of it stays open.
func (p *ports) prepare(next []port) (opened map[string]*socket, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	opened = map[string]*socket{}
	for _, n := range next {
		if old := p.open[n.name]; !n.addr.IsValid() || old != nil && old.addr == n.addr {
			continue
		}
		if n.late && !p.serving[n.name].listens() {
			err = p.sockets.free(n.name, n.addr)
		} else {
			opened[n.name], err = p.sockets.open(n.name, n.addr)
		}
		if err != nil {
			delete(opened, n.name)
			return nil, errors.Join(err, discard(opened)) // what was passed at the start is kept by whoever passed it
		}
	}
	return opened, nil
}

// listens reports whether it, or one that it has not replaced yet, has opened its port.
func (s *server) listens() bool {
	if s == nil {
		return false
	}
	select {
	case <-s.listening:
		return true
	default:
		return slices.ContainsFunc(s.before, (*server).listens)
	}
}

// discard closes what prepare opened and nothing will use.
func discard(opened map[string]*socket) error {
	var errs []error
	for _, s := range opened {
		errs = append(errs, s.drop())
	}
	return errors.Join(errs...)
}

// swap has the next ports served, on what prepare opened.
func (p *ports) swap(next []port, opened map[string]*socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return discard(opened)
	}
	for _, n := range next {
		old := p.serving[n.name]
		switch {
		case !n.addr.IsValid() && old != nil:
			old.stop()
			delete(p.serving, n.name)
			delete(p.open, n.name)
		case !n.addr.IsValid(), old != nil && old.addr == n.addr && old.made == n.made:
		default:
			if s := opened[n.name]; s != nil {
				p.open[n.name] = s
			}
			p.start(n, old)
		}
	}
	return nil
}

// stop ends the server, and those that it has not replaced yet.
func (s *server) stop() {
	s.cancel()
	for _, b := range s.before {
		b.stop()
	}
}

// start runs a server. The one before it goes on until this one listens.
func (p *ports) start(n port, before *server) {
	ctx, cancel := context.WithCancel(context.Background()) // run ends all
	s := &server{port: n, cancel: cancel, socket: p.open[n.name], listening: make(chan struct{}), done: make(chan struct{})}
	if before != nil {
		s.before = []*server{before}
	}
	p.serving[n.name] = s
	p.running.Go(func() {
		err := n.serve(ctx, func() (net.Listener, error) { return p.listen(s) })
		close(s.done)
		if err != nil && ctx.Err() == nil {
			select {
			case p.failed <- fmt.Errorf("health.%s: %w", n.name, err):
			default: // one is enough
			}
		}
		p.over(s)
	})
	p.running.Go(func() {
		select {
		case <-s.listening:
			for _, b := range s.before {
				b.stop()
			}
		case <-s.done:
		}
	})
}

func (p *ports) listen(s *server) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.socket == nil { // late
		if err := p.openLate(s); err != nil {
			return nil, err
		}
	}
	l, err := s.socket.share()
	if err == nil {
		close(s.listening)
	}
	return l, err
}

// openLate opens the address of a server, unless one that it replaces or that replaces it has.
func (p *ports) openLate(s *server) (err error) {
	if open := p.open[s.name]; open != nil && open.addr == s.addr {
		s.socket = open
		return nil
	}
	if s.socket, err = p.sockets.open(s.name, s.addr); err != nil {
		return err
	}
	if current := p.serving[s.name]; current != nil && current.addr == s.addr {
		p.open[s.name] = s.socket
	}
	return nil
}

// over closes the socket of a server that ended, if it is at an address that is ours no more.
func (p *ports) over(s *server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.socket == nil || p.open[s.name] == s.socket {
		return
	}
	if err := s.socket.drop(); err != nil && !errors.Is(err, os.ErrClosed) {
		p.log.Warn("close what health was served on", zap.String("port", s.name), zap.Stringer("address", s.addr), zap.Error(err))
	}
}

// run waits until ctx is done or a server fails. When it returns all have ended and the sockets are closed, but for the copies that
// systemd keeps for the next process.
func (p *ports) run(ctx context.Context) (err error) {
	select {
	case err = <-p.failed:
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.ended = true
	for _, s := range p.serving {
		s.stop()
	}
	p.mu.Unlock()
	p.running.Wait()
	return errors.Join(err, p.close())
}

// close closes what is open.
func (p *ports) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, s := range p.open {
		errs = append(errs, s.close())
	}
	clear(p.open)
	return errors.Join(errs...)
}
