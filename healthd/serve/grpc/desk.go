package grpc

import (
	"context"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// maxListed bounds the services of one List.
const maxListed = 1000

// desk answers the calls of one Run.
type desk struct {
	health.UnimplementedHealthServer
	*Server
	over     context.Context // of Run
	watchers watchers
}

// word is the gRPC status of a condition. Warn serves; UNKNOWN is said while nothing is known, which no client takes for SERVING.
func word(c serve.Condition) health.HealthCheckResponse_ServingStatus {
	switch {
	case c.Serving():
		return health.HealthCheckResponse_SERVING
	case c == serve.Starting:
		return health.HealthCheckResponse_UNKNOWN
	}
	return health.HealthCheckResponse_NOT_SERVING
}

// Check answers about one service, or about the whole instance where the name is empty.
func (d *desk) Check(_ context.Context, req *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	c, ok := d.conditions.Latest()[req.GetService()]
	if !ok {
		return nil, status.Error(codes.NotFound, "no service "+healthd.Line(req.GetService(), 64)+" here")
	}
	return &health.HealthCheckResponse{Status: word(c)}, nil
}

// List answers about every service to those who may know what there is, and about the whole instance under the empty name to all.
func (d *desk) List(ctx context.Context, _ *health.HealthListRequest) (*health.HealthListResponse, error) {
	all := d.conditions.Latest()
	if len(all) > maxListed {
		return nil, status.Errorf(codes.ResourceExhausted, "%d services are too many to list; ask for each", len(all)-1)
	}
	list := &health.HealthListResponse{Statuses: map[string]*health.HealthCheckResponse{"": {Status: word(all[""])}}}
	if !d.insider(ctx) {
		return list, nil
	}
	for name, c := range all {
		list.Statuses[name] = &health.HealthCheckResponse{Status: word(c)}
	}
	return list, nil
}

// insider is a caller from loopback for whom no proxy speaks, or the holder of a token; as in serve.HTTP.
func (d *desk) insider(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	if d.tokens.Held(md.Get("authorization")) {
		return true
	}
	c := connOf(ctx)
	return !d.settings.TokensOnly && c != nil && c.Local() && !serve.Forwarded(func(name string) bool { return len(md.Get(name)) > 0 })
}

// Watch sends the status at once and whenever it has changed, until the caller has gone or we stop. A service that is not known
// is SERVICE_UNKNOWN until a change of the configuration brings it. One of too many is ended with RESOURCE_EXHAUSTED; see watchers.
func (d *desk) Watch(req *health.HealthCheckRequest, stream rpc.ServerStreamingServer[health.HealthCheckResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	me := &watcher{end: cancel}
	if c := connOf(ctx); c != nil {
		me.group, me.local = c.Group(), c.Local()
	}
	if !d.watchers.add(me) {
		return tooMany
	}
	defer d.watchers.remove(me)
	defer context.AfterFunc(d.over, func() { cancel(nil) })()
	said := health.HealthCheckResponse_ServingStatus(-1)
	for {
		generation := d.settings.Source.Latest().Generation // before the look, so that no change is slept through
		now := health.HealthCheckResponse_SERVICE_UNKNOWN
		if c, ok := d.conditions.Latest()[req.GetService()]; ok {
			now = word(c)
		}
		if now != said {
			if err := stream.Send(&health.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			said = now
		}
		if _, err := d.settings.Source.Wait(ctx, generation); err != nil {
			if err := stream.Context().Err(); err != nil {
				return status.FromContextError(err).Err()
			}
			if context.Cause(ctx) == tooMany {
				return tooMany
			}
			return status.Error(codes.Unavailable, "lbmedic stops; ask again")
		}
	}
}
