package admin

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeBalancer has one backend, web, of three servers; what the real one does is tried in haproxy_test.go.
type fakeBalancer struct {
	mu       sync.Mutex
	rows     []remediate.Server
	sessions int
	down     error                           // it cannot be read
	during   func(ctx context.Context)       // is called in the middle of Act
	refuse   func(a remediate.Action) string // why Act refuses
}

func newFakeBalancer() *fakeBalancer {
	b := &fakeBalancer{}
	for _, name := range []string{"s0", "s1", "s2"} {
		b.rows = append(b.rows, remediate.Server{Name: name, Oper: remediate.OperUp, Weight: 1, InitialWeight: 1, Checked: true})
	}
	return b
}

func (b *fakeBalancer) set(change func(*fakeBalancer)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *fakeBalancer) row(name string) remediate.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r.Name == name {
			return r
		}
	}
	return remediate.Server{}
}

func (b *fakeBalancer) Observe(context.Context) (control.Observation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	web := remediate.Backend{Name: "web", Servers: append([]remediate.Server(nil), b.rows...)}
	return control.Observation{At: time.Now(), Generation: remediate.Generation{PID: 7}, Backends: []control.Backend{{Backend: web}}}, b.down
}

func (b *fakeBalancer) Act(ctx context.Context, _ remediate.Generation, a remediate.Action) (remediate.Result, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return remediate.Refused, b.refuse(a)
	}
	if b.during != nil {
		b.during(ctx)
	}
	for i := range b.rows {
		r := &b.rows[i]
		if r.Name != a.Target.Server {
			continue
		}
		switch a.Verb {
		case remediate.Drain:
			r.Admin = remediate.ForcedDrain
		case remediate.Maint:
			r.Admin = remediate.ForcedMaint
		case remediate.Ready:
			r.Admin = 0
		case remediate.ForceDown:
			r.Oper, r.CheckOff = remediate.OperDown, true
		case remediate.EnableHealth:
			r.Oper, r.CheckOff = remediate.OperUp, false
		}
	}
	return remediate.Done, ""
}

func (b *fakeBalancer) Use(_ context.Context, _, server string) (remediate.Use, error) {
	inService := b.row(server).Admin&remediate.OutOfService == 0
	b.mu.Lock()
	defer b.mu.Unlock()
	return remediate.Use{InService: inService, Sessions: b.sessions, Bounds: "timeout client 5s"}, b.down
}

// stage is a server with the balancers edge and inner, a journal, and the local health services web and api.
type stage struct {
	t         *testing.T
	server    *Server
	client    *Client
	balancers map[string]*fakeBalancer
	book      *control.Book
	stop      func()
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{t: t, balancers: map[string]*fakeBalancer{"edge": newFakeBalancer(), "inner": newFakeBalancer()}}
	s.balancers["inner"].rows[2].Name = "only-inner"
	j, recovered, err := journal.Open(filepath.Join(dir, "state"), journal.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if s.book, err = control.NewBook(j, recovered); err != nil {
		t.Fatal(err)
	}
	board, err := probe.NewBoard(probe.Settings{Services: []probe.Service{{Name: "api"}, {Name: "web"}}})
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := probe.NewKeeper(board)
	if err != nil {
		t.Fatal(err)
	}
	sidecars := control.NewSidecars(client.New(client.Settings{}))
	s.server = &Server{Leases: keeper, Socket: filepath.Join(dir, "a.sock"), Group: "no-such-group", Version: "v1", Book: s.book, Board: board,
		Controllers: map[string]*control.Controller{}}
	for name, b := range s.balancers {
		settings := control.Settings{Name: name, Interval: 20 * time.Millisecond, Policy: func(time.Time) remediate.Policy { return remediate.DefaultPolicy() }}
		s.server.Controllers[name] = control.New(settings, b, s.book, sidecars, zap.NewNop())
	}
	s.client = NewClient(s.server.Socket)
	s.run(sidecars)
	return s
}

// run starts the server and waits until the balancers have been read once.
func (s *stage) run(sidecars *control.Sidecars) {
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, c := range s.server.Controllers {
		parts.Go(func() {
			if err := c.Run(ctx); err != nil {
				s.t.Error(err)
			}
		})
	}
	parts.Go(func() {
		if err := s.server.Leases.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	l, err := s.server.listen(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	parts.Go(func() {
		if err := s.server.serve(ctx, l, s.server.handler()); err != nil {
			s.t.Error(err)
		}
	})
	s.stop = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
		sidecars.Close()
		if err := s.book.Close(); err != nil && !errors.Is(err, journal.ErrClosed) {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(s.stop)
	s.until("both balancers read", func() bool {
		st, err := s.client.Status(s.t.Context())
		return err == nil && len(st.Balancers[0].Servers) == 3 && len(st.Balancers[1].Servers) == 3
	})
}

func (s *stage) until(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			s.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// order gives an order and returns the reason of its refusal.
func (s *stage) order(o Order) (Done, Reason) {
	s.t.Helper()
	done, err := s.client.Order(s.t.Context(), o)
	var p *Problem
	switch {
	case err == nil:
		return done, ""
	case errors.As(err, &p):
		return done, p.Reason
	}
	s.t.Fatal(err)
	return done, ""
}

// take has automation hold a server out, as the journal tells it.
func (s *stage) take(balancer, server string) remediate.Target {
	s.t.Helper()
	t := remediate.Target{Balancer: balancer, Backend: "web", Server: server}
	b := s.balancers[balancer]
	a := remediate.Action{Verb: remediate.ForceDown, Target: t, Reason: remediate.SidecarFails}
	// Passing evidence would end the take; there is no sidecar here, so it stays.
	seq, err := s.book.Append(remediate.KindIntent, remediate.IntentRecord{Action: a, Generation: remediate.Generation{PID: 7}})
	if err != nil {
		s.t.Fatal(err)
	}
	b.Act(s.t.Context(), remediate.Generation{}, a)
	if _, err := s.book.Append(remediate.KindOutcome, remediate.OutcomeRecord{Intent: seq, Target: t, Verb: a.Verb, Result: remediate.Done}); err != nil {
		s.t.Fatal(err)
	}
	return t
}

func service(t *testing.T, s *stage, name string) healthd.Service {
	t.Helper()
	snap, err := s.client.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	svc, ok := snap.Service(name)
	if !ok {
		t.Fatalf("there is no service %s in %+v", name, snap)
	}
	return *svc
}
