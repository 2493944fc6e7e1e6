// Package grpc answers the health protocol of gRPC (grpc.health.v1) from the state that healthd/serve tells in other shapes: Check, List
// and Watch. It is a folder of its own, so that whoever imports healthd/serve does not get gRPC with it.
package grpc

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"github.com/lbmedic/lbmedic/healthd/serve"
)

// Settings of a Server.
type Settings struct {
	Source     serve.Source
	Limits     serve.Limits // Waiting bounds the Watch streams; one address may have a quarter of them, loopback excepted
	TokensOnly bool         // loopback callers are strangers
	Tokens     []string     // whose holders are told the names of the services by List, from metadata `authorization: Bearer TOKEN`
}

// Server answers over gRPC without TLS.
type Server struct {
	settings   Settings
	conditions *serve.Conditions
	tokens     serve.Tokens
}

// Bounds of a connection.
const (
	maxStreams  = 32      // at once on one connection
	maxRequest  = 4 << 10 // bytes; a request is a name
	maxResponse = 1 << 20 // bytes; List
	maxHeaders  = 8 << 10 // bytes
	buffer      = 4 << 10 // bytes to read and to write, each
	helloWithin = 5 * time.Second
	idleTimeout = 90 * time.Second // without a call
	pingEvery   = 30 * time.Second // where nothing is heard
	pongWithin  = 10 * time.Second
	mayPing     = 10 * time.Second // at most so often, with or without a call; beyond it the caller is sent away
	stopWithin  = time.Second      // for the calls under way
)

// New makes the server; Run starts it.
func New(s Settings) *Server {
	if s.Limits.Waiting == 0 {
		s.Limits.Waiting = 256
	}
	return &Server{settings: s, conditions: serve.NewConditions(s.Source), tokens: serve.NewTokens(s.Tokens)}
}

// Run serves on l, which it closes, until ctx ends. Streams of Watch end with UNAVAILABLE then, which tells their callers to ask again.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	server := rpc.NewServer(options()...)
	health.RegisterHealthServer(server, &desk{Server: s, over: serving, watchers: watchers{most: s.settings.Limits.Waiting, of: map[netip.Prefix][]*watcher{}}})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(serve.Guard(l, s.settings.Limits)) }()
	select {
	case err := <-ended:
		server.Stop()
		if ctx.Err() == nil {
			return fmt.Errorf("serve gRPC health on %s: %w", l.Addr(), err)
		}
		return nil
	case <-ctx.Done():
	}
	late := time.AfterFunc(stopWithin, server.Stop)
	defer late.Stop()
	server.GracefulStop()
	<-ended // what it says of a stop is no failure
	return nil
}

func options() []rpc.ServerOption {
	return []rpc.ServerOption{
		rpc.Creds(open{insecure.NewCredentials()}),
		rpc.MaxConcurrentStreams(maxStreams),
		rpc.MaxRecvMsgSize(maxRequest),
		rpc.MaxSendMsgSize(maxResponse),
		rpc.MaxHeaderListSize(maxHeaders),
		rpc.ReadBufferSize(buffer),
		rpc.WriteBufferSize(buffer),
		rpc.ConnectionTimeout(helloWithin),
		rpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout, Time: pingEvery, Timeout: pongWithin}),
		rpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: mayPing, PermitWithoutStream: true}),
		rpc.WaitForHandlers(true),
		rpc.UnaryInterceptor(func(ctx context.Context, req any, _ *rpc.UnaryServerInfo, handle rpc.UnaryHandler) (any, error) {
			defer hold(ctx)()
			return handle(ctx, req)
		}),
		rpc.StreamInterceptor(func(srv any, stream rpc.ServerStream, _ *rpc.StreamServerInfo, handle rpc.StreamHandler) error {
			defer hold(stream.Context())()
			return handle(srv, stream)
		}),
	}
}

// conn is what serve.Guard makes of a connection.
type conn interface {
	Hold()
	Release()
	Local() bool
	Group() netip.Prefix
}

// open credentials let anybody in, and keep the connection for those who ask where a call comes from.
type open struct {
	credentials.TransportCredentials
}

// ServerHandshake takes the connection as it is.
func (o open) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, _ := raw.(conn)
	return raw, origin{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}, c}, nil
}

type origin struct {
	credentials.CommonAuthInfo
	conn conn // nil where the listener is not guarded
}

// AuthType is that of insecure credentials.
func (origin) AuthType() string { return "insecure" }

func connOf(ctx context.Context) conn {
	if p, ok := peer.FromContext(ctx); ok {
		if o, ok := p.AuthInfo.(origin); ok {
			return o.conn
		}
	}
	return nil
}

// hold marks the connection as being in a call, until the function it returns is called.
func hold(ctx context.Context) func() {
	c := connOf(ctx)
	if c == nil {
		return func() {}
	}
	c.Hold()
	return c.Release
}
