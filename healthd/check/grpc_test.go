package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// grpcServer is a real gRPC server with the services up, down and unknown; nil: without a health service.
func grpcServer(t *testing.T, desk grpc_health_v1.HealthServer, o ...rpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(o...)
	if desk != nil {
		grpc_health_v1.RegisterHealthServer(server, desk)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return l.Addr().String()
}

func conditions() *health.Server {
	h := health.NewServer()
	h.SetServingStatus("up", grpc_health_v1.HealthCheckResponse_SERVING)
	h.SetServingStatus("down", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	h.SetServingStatus("unknown", grpc_health_v1.HealthCheckResponse_UNKNOWN)
	return h
}

func TestGRPCAsksARealServer(t *testing.T) {
	address := grpcServer(t, conditions())
	for name, c := range map[string]struct {
		address string
		o       options
		class   healthd.Class
		detail  string
	}{
		"whole server":      {address, nil, healthd.OK, "the server is SERVING"},
		"service up":        {address, options{"service": {"up"}}, healthd.OK, "service up is SERVING"},
		"service down":      {address, options{"service": {"down"}}, healthd.WrongAnswer, "service down is NOT_SERVING"},
		"service unknown":   {address, options{"service": {"unknown"}}, healthd.WrongAnswer, "service unknown is UNKNOWN"},
		"no such service":   {address, options{"service": {"gone"}}, healthd.WrongAnswer, "the server knows no service gone"},
		"no health service": {grpcServer(t, nil), nil, healthd.WrongAnswer, "the server has no health service (grpc.health.v1.Health)"},
		"frozen":            {grpcServer(t, asleep{}), nil, healthd.TimedOut, "no answer in time"},
		"down":              {local(t), nil, healthd.Refused, "connection refused"},
		"tls on plain":      {address, options{"tls": {"true"}}, healthd.WrongAnswer, "the server does not speak tls"},
		"http":              {greeter(t, greets("HTTP/1.1 400 Bad Request\r\n\r\n"+strings.Repeat(" ", 64), nil)), nil, healthd.WrongAnswer, "no health answer, but Unavailable"},
		"ssh":               {greeter(t, greets("SSH-2.0-OpenSSH_9.2\r\n", nil)), nil, healthd.WrongAnswer, "no health answer, but Unavailable"},
		"silent":            {greeter(t, greets("", nil)), nil, healthd.TimedOut, "no answer in time"},
		"closed":            {greeter(t, hangsUp), nil, healthd.WrongAnswer, "closed without one"},
		"endless":           {greeter(t, func(c net.Conn) { _, _ = io.Copy(c, settingsForEver{}) }), nil, healthd.WrongAnswer, ""},
	} {
		t.Run(name, func(t *testing.T) { judged(t, "grpc", c.address, c.o, c.class, c.detail) })
	}
}

// hangsUp ends its side and reads on: closing with something unread would reset the connection.
func hangsUp(c net.Conn) {
	_, _ = c.Read(make([]byte, 4096))
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, c)
}

// asleep never answers before the caller has gone.
type asleep struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (asleep) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// settingsForEver are empty SETTINGS frames of HTTP/2, one after another.
type settingsForEver struct{}

func (settingsForEver) Read(p []byte) (int, error) {
	n := 0
	for ; n+9 <= len(p); n += 9 {
		copy(p[n:], "\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	}
	return n, nil
}

func TestGRPCSpeaksTLS(t *testing.T) {
	a := newAuthority(t, "CA")
	ca := a.file()
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	cert, key := files(t, t.TempDir(), a.leaf(nil))
	config := &tls.Config{Certificates: []tls.Certificate{a.leaf(nil)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	address := grpcServer(t, conditions(), rpc.Creds(credentials.NewTLS(config)))
	judged(t, "grpc", address, options{"ca": {ca}, "cert": {cert}, "key": {key}}, healthd.OK, "the server is SERVING")
	said := "" // the server resets the connection right after its alert, and now and then the reset overtakes it
	for range 10 {
		o := probe(t, "grpc", address, options{"ca": {ca}}, 5*time.Second)
		if said = o.Detail; o.Class.Status() != healthd.Fail {
			t.Errorf("got %s: %q", o.Class, o.Detail)
		}
		if strings.Contains(said, "the server wants a client certificate") {
			break
		}
	}
	if !strings.Contains(said, "the server wants a client certificate") {
		t.Errorf("at last: %q", said)
	}
	judged(t, "grpc", address, options{"tls": {"true"}}, healthd.WrongAnswer, `signed by "CA", an unknown authority`)
	judged(t, "grpc", address, nil, healthd.WrongAnswer, "")
	old := grpcServer(t, conditions(), rpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{a.leaf(expired)}})))
	judged(t, "grpc", old, options{"ca": {ca}}, healthd.WrongAnswer, "expired on 1970-01-02")
	plain := secureApp(t, &tls.Config{Certificates: []tls.Certificate{a.leaf(nil)}})
	judged(t, "grpc", plain, options{"ca": {ca}}, healthd.WrongAnswer, "did not choose h2")
}

// guarded asks for a token, and answers by the authority it was asked for.
type guarded struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (guarded) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if len(md["x-token"]) != 1 || md["x-token"][0] != planted || md[":authority"][0] != "shop.test" {
		return nil, status.Error(codes.PermissionDenied, "who are you?")
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func TestGRPCSendsMetadataAndAuthority(t *testing.T) {
	address := grpcServer(t, guarded{})
	judged(t, "grpc", address, options{"metadata": {"X-Token: " + planted}, "authority": {"shop.test"}}, healthd.OK, "SERVING")
	o := judged(t, "grpc", address, options{"metadata": {"X-Token: " + planted}}, healthd.WrongAnswer, "no health answer, but PermissionDenied: who are you?")
	if strings.Contains(o.Detail, planted) {
		t.Errorf("%q shows a token", o.Detail)
	}
	for _, line := range []string{"grpc-timeout: 1S", "x-bin: a", "no colon", ":path: /"} {
		if _, err := New("grpc", []string{address}, options{"metadata": {line}}); err == nil {
			t.Errorf("metadata %q is fine", line)
		}
	}
}

// Through the real nginx and the real HAProxy, with the server behind up and down.
func TestGRPCAsksThroughProxies(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, behind string) string{
		"nginx": func(t *testing.T, behind string) string {
			dir, address := peertest.Dir(t), local(t)
			config := peer.NginxMain(dir) + "events {}\nhttp {\n" + peer.NginxTemp(dir) + fmt.Sprintf("server { listen %s http2; location / { grpc_pass grpc://%s; } }\n}\n", address, behind)
			peertest.Nginx(t, peertest.One(t, "nginx"), dir, config, address)
			return address
		},
		"haproxy": func(t *testing.T, behind string) string {
			dir, address := peertest.Dir(t), local(t)
			config := peer.HAProxyGlobal(dir) + fmt.Sprintf("defaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\nlisten grpc\n    bind %s proto h2\n    server s %s proto h2\n", address, behind)
			peertest.HAProxy(t, peertest.One(t, "haproxy"), dir, config)
			return address
		},
	} {
		t.Run(name, func(t *testing.T) {
			up := start(t, grpcServer(t, conditions()))
			judged(t, "grpc", up, options{"service": {"up"}}, healthd.OK, "service up is SERVING")
			judged(t, "grpc", up, options{"service": {"down"}}, healthd.WrongAnswer, "NOT_SERVING")
			judged(t, "grpc", start(t, local(t)), nil, healthd.WrongAnswer, "no health answer, but Unavailable: unexpected HTTP status code received from server: 50")
		})
	}
}
