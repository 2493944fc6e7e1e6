package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lbmedic/lbmedic/healthd"
)

// grpcKind asks the health service of gRPC (grpc.health.v1) over a fresh connection.
var grpcKind = Kind{
	Doc:         "a gRPC server says that it, or one service of it, is SERVING",
	Target:      Option{Doc: "host:port to connect to", Type: HostPort},
	Measurement: "responseTime",
	Example:     `{grpc: 127.0.0.1:9000, service: shop.Cart, metadata: ["x-probe: lbmedic"]}`,
	Options: append([]Option{
		{Key: "service", Doc: "name of the service; the whole server unless set", Type: Text},
		{Key: "authority", Doc: "name of the server in the request, instead of the target", Type: Host},
		{Key: "metadata", Doc: "metadata that is sent, each as name: value", Type: Text, List: true, Secret: true},
		tlsOption,
	}, tlsOptions...),
	New: func(s Settings) (Probe, error) {
		p := &grpcProbe{address: s.Target(), service: s.Text("service"), authority: s.Text("authority"), metadata: metadata.MD{}}
		if p.authority == "" {
			p.authority = p.address
		}
		errs := []error{validateAddress(s.Target())}
		for _, line := range s.Texts("metadata") {
			name, value, err := parseHeader(line)
			if name = strings.ToLower(name); err == nil && (strings.HasPrefix(name, "grpc-") || strings.HasSuffix(name, "-bin")) {
				err = fmt.Errorf("%s cannot be set: grpc- is gRPC's own, and -bin holds bytes", name)
			}
			if err != nil {
				errs = append(errs, KeyError{"metadata", err})
				continue
			}
			p.metadata.Append(name, value)
		}
		var err error
		p.secure, err = optionalTLS(s)
		return p.probe, errors.Join(append(errs, err)...)
	},
}

// grpcProbe is one grpc check.
type grpcProbe struct {
	address, service, authority string
	metadata                    metadata.MD
	secure                      *tlsClient // nil: plain
}

func (p *grpcProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	if err := p.ask(ctx); err != nil {
		return failed(ctx, start, "no grpc answer", err)
	}
	return passed(start, p.subject()+" is SERVING")
}

func (p *grpcProbe) subject() string {
	if p.service == "" {
		return "the server"
	}
	return "service " + healthd.Line(p.service, 80)
}

func (p *grpcProbe) ask(ctx context.Context) error {
	raw, err := dial(ctx, p.address)
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }() // the client may have closed it
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, over := &watchedConn{Conn: raw}, make(chan struct{})
	client, err := p.client(conn, over)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // one call was all
	ctx = metadata.NewOutgoingContext(ctx, p.metadata)
	reply, err := grpc_health_v1.NewHealthClient(client).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: p.service}, rpc.MaxCallRecvMsgSize(4<<10))
	if err != nil {
		if p.secure != nil && status.Code(err) == codes.Unavailable {
			awaitAlert(ctx, over)
		}
		return p.refusal(ctx, conn, err)
	}
	if s := reply.GetStatus(); s != grpc_health_v1.HealthCheckResponse_SERVING {
		return wrongAnswer(p.subject() + " is " + s.String())
	}
	return nil
}

// client is one of gRPC's own over the connection given, and over no other.
func (p *grpcProbe) client(conn *watchedConn, over chan struct{}) (*rpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if p.secure != nil {
		transport = &grpcTLS{client: p.secure, server: hostName(p.address), conn: conn, over: over}
	}
	once := make(chan net.Conn, 1)
	once <- conn
	return rpc.NewClient("passthrough:///"+p.address, rpc.WithTransportCredentials(transport), rpc.WithAuthority(p.authority), rpc.WithUserAgent("lbmedic"),
		rpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-once:
				return c, nil
			default:
				return nil, errors.New("the one connection of the probe is over")
			}
		}), rpc.WithNoProxy(), rpc.WithDisableServiceConfig(), rpc.WithDisableRetry(), rpc.WithDisableHealthCheck(), rpc.WithMaxHeaderListSize(16<<10))
}

// awaitAlert gives the reader of a connection that broke down a moment to meet what the server said last.
func awaitAlert(ctx context.Context, over <-chan struct{}) {
	moment := time.NewTimer(20 * time.Millisecond)
	defer moment.Stop()
	select {
	case <-over:
	case <-moment.C:
	case <-ctx.Done():
	}
}

// refusal says plainly what came instead of a status.
func (p *grpcProbe) refusal(ctx context.Context, conn *watchedConn, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said := status.Convert(err)
	switch said.Code() {
	case codes.Unimplemented:
		return wrongAnswer("the server has no health service (grpc.health.v1.Health)")
	case codes.NotFound:
		return wrongAnswer("the server knows no " + p.subject())
	case codes.Unavailable:
		if fault := conn.failure("no grpc answer"); fault != nil {
			return fault
		}
	}
	return wrongAnswer(fmt.Sprintf("no health answer, but %s: %s", said.Code(), healthd.Line(said.Message(), 120)))
}
