package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"go.uber.org/zap"
)

// Remote serves the API over TCP as well, to who shows a certificate: TLS 1.3, the certificate of a client verified against authorities of
// our own, and its name in a list that says what it may do. An empty list lets nobody in.
type Remote struct {
	Listen   string          // host:port
	Cert     string          // files, PEM; they are read again when they change
	Key      string          //
	ClientCA string          // the authorities of the clients' certificates
	Allow    map[string]Role // by DNS name, in lower case, or URI of the certificate (SAN)

	certs    *certs
	listener net.Listener // nil before open
}

// maxRemote bounds the connections over TCP, handshakes included; further ones wait to be accepted.
const maxRemote = 256

// open reads the certificates and opens the port.
func (r *Remote) open(ctx context.Context, log *zap.Logger) error {
	var err error
	r.certs, err = newCerts(r.Cert, r.Key, r.ClientCA, func(err error) { log.Warn("admin API over TCP", zap.Error(err)) })
	if err != nil {
		return fmt.Errorf("admin.remote: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", r.Listen)
	if err != nil {
		return fmt.Errorf("admin.remote: %w; is another lbmedic running?", err)
	}
	r.listener = tls.NewListener(&bounded{Listener: l, places: make(chan struct{}, maxRemote)}, r.certs.server())
	if len(r.Allow) == 0 {
		log.Warn("the admin API over TCP lets nobody in: admin.remote.allow is empty")
	}
	return nil
}

// Addr is where it listens, once the Server does.
func (r *Remote) Addr() net.Addr { return r.listener.Addr() }

// admitted lets only those through whose certificate has a name in the list.
func (s *Server) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.TLS == nil || len(req.TLS.VerifiedChains) == 0 {
			problemf(http.StatusForbidden, Forbidden, "the admin API over TCP needs a certificate").write(w)
			return
		}
		name, role := roleOf(req.TLS.VerifiedChains[0][0], s.allowed())
		if role == Nobody {
			s.log().Warn("refused over TCP", zap.String("names", name), zap.String("from", req.RemoteAddr))
			problemf(http.StatusForbidden, Forbidden, "the certificate's names (%s) are not in admin.remote.allow", name).write(w)
			return
		}
		next.ServeHTTP(w, withCaller(req, name, role))
	})
}

// bounded is a listener of so many connections at a time.
type bounded struct {
	net.Listener
	places chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	b.places <- struct{}{} // held by a connection that ends in time, so this does too
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-b.places })}, nil
}

type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

// closeAll closes what is open of several listeners.
func closeAll(all ...net.Listener) error {
	var errs []error
	for _, l := range all {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}
