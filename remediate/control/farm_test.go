package control

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/remediate"
)

// farm is a balancer that is only thought: backends b0, b1… with servers s0, s1… that do as they are told, beside
// sidecars that say what the test says.
type farm struct {
	t        testing.TB
	ctl      *Controller
	book     *Book
	sidecars *Sidecars

	mu       sync.Mutex
	world    Observation
	stale    time.Duration // how old a look is when it is handed over
	slow     time.Duration // how long a look takes
	result   remediate.Result
	during   func(remediate.Action) // while a step is taken
	acts     []string
	observed int
	uses     int
}

func newFarm(t testing.TB, backends, servers int, p remediate.Policy) *farm {
	f := &farm{t: t, book: openBook(t, t.TempDir()), sidecars: NewSidecars(client.New(client.Settings{})), result: remediate.Done}
	f.world.Generation.PID = 7
	for i := range backends {
		b := Backend{Backend: remediate.Backend{Name: fmt.Sprintf("b%d", i)}, Sidecars: map[string]string{}}
		for j := range servers {
			name := fmt.Sprintf("s%d", j)
			b.Servers = append(b.Servers, remediate.Server{Name: name, Address: fmt.Sprintf("10.0.%d.%d:80", i, j), Oper: remediate.OperUp,
				Weight: 1, InitialWeight: 1, Checked: true})
			b.Sidecars[name] = fmt.Sprintf("http://10.0.%d.%d/", i, j)
		}
		f.world.Backends = append(f.world.Backends, b)
	}
	f.ctl = f.controller(p)
	f.say(healthd.Pass)
	t.Cleanup(func() {
		f.sidecars.Close()
		if err := f.book.Close(); err != nil {
			t.Log(err)
		}
	})
	return f
}

func (f *farm) controller(p remediate.Policy) *Controller {
	return New(Settings{Name: "edge", Policy: func(time.Time) remediate.Policy { return p }}, f, f.book, f.sidecars, zap.NewNop())
}

// say has the sidecars of the named servers ("b0/s1"), or all of them, say so. Nobody is asked over the network.
func (f *farm) say(status healthd.Status, servers ...string) {
	f.sidecars.mu.Lock()
	defer f.sidecars.mu.Unlock()
	for _, b := range f.world.Backends {
		for server, url := range b.Sidecars {
			sc := f.sidecars.all[url]
			if sc == nil {
				sc = &sidecar{wake: map[string]func(){"edge": func() {}}, cancel: func() {}, heard: true, known: true}
				f.sidecars.all[url] = sc
			}
			name := b.Name + "/" + server
			for _, s := range servers {
				if s == name {
					sc.evidence = remediate.Evidence{Status: status, At: time.Now(), Detail: "told so"}
				}
			}
			if len(servers) == 0 {
				sc.evidence = remediate.Evidence{Status: status, At: time.Now(), Detail: "told so"}
			}
		}
	}
}

func (f *farm) change(do func(*farm)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(f)
}

func (f *farm) row(b, s int) *remediate.Server { return &f.world.Backends[b].Servers[s] }

func (f *farm) Observe(ctx context.Context) (Observation, error) {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	if slow > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(slow):
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observed++
	out := f.world
	out.At = time.Now().Add(-f.stale)
	out.Backends = nil
	for _, b := range f.world.Backends {
		b.Servers = append([]remediate.Server(nil), b.Servers...)
		out.Backends = append(out.Backends, b)
	}
	return out, nil
}

func (f *farm) Act(_ context.Context, _ remediate.Generation, a remediate.Action) (remediate.Result, string) {
	f.mu.Lock()
	during := f.during
	f.mu.Unlock()
	if during != nil {
		during(a)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acts = append(f.acts, fmt.Sprintf("%s %s/%s", a.Verb, a.Target.Backend, a.Target.Server))
	if f.result != remediate.Done {
		return f.result, "told so"
	}
	for i := range f.world.Backends {
		for j := range f.world.Backends[i].Servers {
			if s := f.row(i, j); f.world.Backends[i].Name == a.Target.Backend && s.Name == a.Target.Server {
				obeyed(s, a.Verb)
			}
		}
	}
	return remediate.Done, ""
}

func obeyed(s *remediate.Server, v remediate.Verb) {
	switch v {
	case remediate.Drain:
		s.Admin = remediate.ForcedDrain
	case remediate.Maint:
		s.Admin = remediate.ForcedMaint
	case remediate.Ready:
		s.Admin = 0
	case remediate.ForceDown:
		s.Oper, s.CheckOff = remediate.OperDown, true
	case remediate.EnableHealth:
		s.Oper, s.CheckOff = remediate.OperUp, false
	}
}

func (f *farm) Use(ctx context.Context, backend, server string) (remediate.Use, error) {
	f.mu.Lock()
	slow := f.slow
	f.uses++
	f.mu.Unlock()
	if slow > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(slow):
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.world.Backends {
		for _, s := range b.Servers {
			if b.Name == backend && s.Name == server {
				return remediate.Use{InService: s.Admin&remediate.OutOfService == 0, Sessions: s.Sessions}, nil
			}
		}
	}
	return remediate.Use{}, fmt.Errorf("there is no %s/%s", backend, server)
}

// done is what was done since it was last asked.
func (f *farm) done() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	acts := f.acts
	f.acts = nil
	return acts
}

// take has automation hold servers out, as the journal tells it.
func (f *farm) take(servers ...[2]int) {
	f.t.Helper()
	for _, at := range servers {
		s := f.row(at[0], at[1])
		target := f.ctl.target(f.world.Backends[at[0]].Name, s.Name)
		seq, err := f.book.Append(remediate.KindIntent, remediate.IntentRecord{Generation: f.world.Generation,
			Action: remediate.Action{Verb: remediate.ForceDown, Target: target, Reason: remediate.SidecarFails}})
		if err != nil {
			f.t.Fatal(err)
		}
		f.ctl.outcome(seq, remediate.Action{Verb: remediate.ForceDown, Target: target}, remediate.Done, "")
		obeyed(s, remediate.ForceDown)
	}
}
