package grpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frozen is a source whose state does not change.
type frozen struct{ *healthd.Snapshot }

func (f frozen) Latest() *healthd.Snapshot { return f.Snapshot }

func (f frozen) Wait(ctx context.Context, after uint64) (*healthd.Snapshot, error) {
	<-ctx.Done()
	return f.Snapshot, ctx.Err()
}

func web(checks ...string) []probe.Service {
	s := probe.Service{Name: "web"}
	for _, c := range checks {
		s.Checks = append(s.Checks, probe.Check{Name: c, Kind: "http"})
	}
	return []probe.Service{s}
}

func board(t *testing.T, services []probe.Service) *probe.Board {
	t.Helper()
	b, err := probe.NewBoard(probe.Settings{Services: services})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func report(b *probe.Board, class healthd.Class, times int) {
	for range times {
		b.Report("web", "app", healthd.NewOutcome(time.Now(), time.Millisecond, class, "told so"))
	}
}

// serving runs until stop is called, or the test ends, and gives a client and the address.
func serving(t *testing.T, s Settings) (client health.HealthClient, address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- New(s).Run(ctx, l) }()
	over := false
	stop = func() {
		if over {
			return
		}
		over = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	c, err := rpc.NewClient(l.Addr().String(), rpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = c.Close() })
	return health.NewHealthClient(c), l.Addr().String(), stop
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// The statuses of the same states that the other shapes are tested with.
func TestStatusOfEveryState(t *testing.T) {
	want := map[string]string{"pass": "SERVING", "warn": "SERVING", "suspect": "SERVING", "damped": "SERVING", "stale": "SERVING",
		"starting": "UNKNOWN", "fail": "NOT_SERVING", "drain": "NOT_SERVING", "maint": "NOT_SERVING"}
	files, err := filepath.Glob("../testdata/states/*.json")
	if err != nil || len(files) < len(want) {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var s healthd.Snapshot
			if err := json.Unmarshal(text, &s); err != nil {
				t.Fatal(err)
			}
			client, _, _ := serving(t, Settings{Source: frozen{&s}})
			for _, service := range []string{"", "web"} {
				got, err := client.Check(bounded(t), &health.HealthCheckRequest{Service: service})
				if err != nil || got.Status.String() != want[name] {
					t.Errorf("Check %q: %v, %v", service, got, err)
				}
				stream, err := client.Watch(bounded(t), &health.HealthCheckRequest{Service: service})
				if err != nil {
					t.Fatal(err)
				}
				if got, err := stream.Recv(); err != nil || got.Status.String() != want[name] {
					t.Errorf("Watch %q: %v, %v", service, got, err)
				}
			}
		})
	}
}

func TestUnknownServices(t *testing.T) {
	b := board(t, web("app"))
	client, _, _ := serving(t, Settings{Source: b})
	if _, err := client.Check(bounded(t), &health.HealthCheckRequest{Service: "later\n"}); status.Code(err) != codes.NotFound || strings.Contains(err.Error(), "\n") {
		t.Errorf("Check: %v", err)
	}
	stream, err := client.Watch(bounded(t), &health.HealthCheckRequest{Service: "later"})
	if err != nil {
		t.Fatal(err)
	}
	next(t, stream, health.HealthCheckResponse_SERVICE_UNKNOWN)
	report(b, healthd.OK, 1) // somebody else's business
	b.Replace(append(web("app"), probe.Service{Name: "later"}))
	next(t, stream, health.HealthCheckResponse_SERVING)
	b.Replace(web("app"))
	next(t, stream, health.HealthCheckResponse_SERVICE_UNKNOWN)
}

func next(t *testing.T, stream rpc.ServerStreamingClient[health.HealthCheckResponse], want health.HealthCheckResponse_ServingStatus) {
	t.Helper()
	if got, err := stream.Recv(); err != nil || got.Status != want {
		t.Fatalf("%v, %v; want %s", got, err, want)
	}
}

// attended is a board that tells which generation its watcher has seen.
type attended struct {
	*probe.Board
	seen chan uint64
}

func (a attended) Wait(ctx context.Context, after uint64) (*healthd.Snapshot, error) {
	a.seen <- after
	return a.Board.Wait(ctx, after)
}

// until returns once the watcher has looked at what the board holds now.
func (a attended) until(t *testing.T) {
	t.Helper()
	for late := time.After(10 * time.Second); ; {
		select {
		case after := <-a.seen:
			if after >= a.Latest().Generation {
				return
			}
		case <-late:
			t.Fatal("the watcher does not look")
		}
	}
}

func TestWatchSaysChangesOnly(t *testing.T) {
	b := attended{board(t, web("app", "orders")), make(chan uint64, 100)}
	client, _, _ := serving(t, Settings{Source: b})
	stream, err := client.Watch(bounded(t), &health.HealthCheckRequest{Service: "web"})
	if err != nil {
		t.Fatal(err)
	}
	next(t, stream, health.HealthCheckResponse_UNKNOWN)
	report(b.Board, healthd.OK, 1)
	b.Report("web", "orders", healthd.NewOutcome(time.Now(), 1, healthd.OK, ""))
	next(t, stream, health.HealthCheckResponse_SERVING)
	before := b.Latest().Generation
	report(b.Board, healthd.Degraded, 3) // a new generation, and the same word
	b.until(t)
	if b.Latest().Generation == before {
		t.Fatal("a warning is no new generation")
	}
	report(b.Board, healthd.Refused, 3)
	next(t, stream, health.HealthCheckResponse_NOT_SERVING) // and not SERVING again
	report(b.Board, healthd.OK, 2)
	next(t, stream, health.HealthCheckResponse_SERVING)
	for _, order := range []healthd.AdminState{healthd.Drain, healthd.Maint, healthd.Ready} {
		if err := b.Order("web", healthd.Admin{State: order}); err != nil {
			t.Fatal(err)
		}
		switch order {
		case healthd.Drain:
			next(t, stream, health.HealthCheckResponse_NOT_SERVING)
		case healthd.Ready:
			next(t, stream, health.HealthCheckResponse_SERVING)
		}
	}
}

func TestListTellsStrangersNoNames(t *testing.T) {
	b := board(t, web("app"))
	report(b, healthd.OK, 1)
	client, _, _ := serving(t, Settings{Source: b, Tokens: []string{"secret"}})
	for name, c := range map[string]struct {
		metadata []string
		want     int
	}{
		"loopback":                     {nil, 2},
		"through a proxy":              {[]string{"x-forwarded-for", "10.0.0.1"}, 1},
		"through a proxy with a token": {[]string{"x-forwarded-for", "10.0.0.1", "authorization", "Bearer secret"}, 2},
		"a wrong token":                {[]string{"forwarded", "for=x", "authorization", "Bearer wrong"}, 1},
	} {
		got, err := client.List(metadata.AppendToOutgoingContext(bounded(t), c.metadata...), &health.HealthListRequest{})
		if err != nil || len(got.Statuses) != c.want || got.Statuses[""].GetStatus() != health.HealthCheckResponse_SERVING {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	strict, _, _ := serving(t, Settings{Source: b, TokensOnly: true})
	if got, err := strict.List(bounded(t), &health.HealthListRequest{}); err != nil || len(got.Statuses) != 1 {
		t.Errorf("loopback where only tokens count: %v, %v", got, err)
	}
	many := &healthd.Snapshot{}
	for i := range maxListed {
		many.Services = append(many.Services, healthd.Service{Name: fmt.Sprintf("s%04d", i), Status: healthd.Pass})
	}
	crowd, _, _ := serving(t, Settings{Source: frozen{many}})
	if _, err := crowd.List(bounded(t), &health.HealthListRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%d services: %v", maxListed, err)
	}
}

func TestCallsAreBounded(t *testing.T) {
	b := board(t, web("app"))
	client, _, _ := serving(t, Settings{Source: b, Limits: serve.Limits{Waiting: 2}})
	var first health.Health_WatchClient
	for i := range 3 {
		stream, err := client.Watch(bounded(t), &health.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Errorf("stream %d: %v", i, err)
		}
		if first == nil {
			first = stream
		}
	}
	if _, err := first.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the oldest ended with %v", err)
	}
	if _, err := client.Check(bounded(t), &health.HealthCheckRequest{Service: strings.Repeat("x", 2*maxRequest)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a long name: %v", err)
	}
	if _, err := client.Check(bounded(t), &health.HealthCheckRequest{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestStreamsOfOneConnectionAreBounded(t *testing.T) {
	b := board(t, web("app"))
	client, address, _ := serving(t, Settings{Source: b})
	for range maxStreams {
		stream, err := client.Watch(bounded(t), &health.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		next(t, stream, health.HealthCheckResponse_UNKNOWN)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := client.Check(short, &health.HealthCheckRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("one stream more: %v", err)
	}
	other, err := rpc.NewClient(address, rpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := health.NewHealthClient(other).Check(bounded(t), &health.HealthCheckRequest{}); err != nil {
		t.Errorf("another connection: %v", err)
	}
}

// Connections that say nothing make room for one that asks, and a stream of Watch outlives them.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	b := board(t, web("app"))
	report(b, healthd.OK, 1)
	client, address, _ := serving(t, Settings{Source: b, Limits: serve.Limits{Connections: 20}})
	stream, err := client.Watch(bounded(t), &health.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	next(t, stream, health.HealthCheckResponse_SERVING)
	for range 100 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	fresh, err := rpc.NewClient(address, rpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if got, err := health.NewHealthClient(fresh).Check(bounded(t), &health.HealthCheckRequest{}, rpc.WaitForReady(true)); err != nil || got.Status != health.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", got, err)
	}
	report(b, healthd.Refused, 3)
	next(t, stream, health.HealthCheckResponse_NOT_SERVING)
}

func TestAStopEndsWatchers(t *testing.T) {
	b := board(t, web("app"))
	client, _, stop := serving(t, Settings{Source: b})
	stream, err := client.Watch(bounded(t), &health.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	next(t, stream, health.HealthCheckResponse_UNKNOWN)
	begun := time.Now()
	stop()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if got, err := stream.Recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "lbmedic stops") {
		t.Errorf("%v, %v", got, err)
	}
}

// Another protocol, and half a handshake, are ended without an answer of ours.
func TestOtherProtocolsAreEnded(t *testing.T) {
	b := board(t, web("app"))
	client, address, _ := serving(t, Settings{Source: b})
	for name, sent := range map[string]string{
		"HTTP/1.1":       "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
		"TLS":            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 64),
		"a wild frame":   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 64),
		"a settings sea": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\x00\x00\x09\x00\x00\x00\x00\x01", 100),
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 4096); err == nil; {
			_, err = c.Read(buf)
		}
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%s: the connection is still open", name)
		}
		_ = c.Close()
	}
	if _, err := client.Check(bounded(t), &health.HealthCheckRequest{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}
