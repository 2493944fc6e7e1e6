package admin

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
)

func TestAnOrderIsCarriedOutAndWrittenDownWithTheKernelsNameOfTheOperator(t *testing.T) {
	s := newStage(t)
	before := time.Now()
	done, reason := s.order(Order{Target: "edge/web/s0", Want: remediate.Drain, Reason: "déploiement", For: Duration(time.Hour)})
	if reason != "" || done.Target != "edge/web/s0" || done.By != Name(os.Getuid()) || done.Until.Before(before.Add(time.Hour)) {
		t.Errorf("got %+v, %s", done, reason)
	}
	if got := s.balancers["edge"].row("s0").Admin; got != remediate.ForcedDrain {
		t.Errorf("the server is %s when the order returns", got)
	}
	order := s.book.Ledger().Orders[remediate.Target{Balancer: "edge", Backend: "web", Server: "s0"}]
	if order.By != Name(os.Getuid()) || order.Reason != "déploiement" || order.Seq <= done.After {
		t.Errorf("written down: %+v, after %d", order, done.After)
	}
	if done, reason = s.order(Order{Target: "edge/web/s0", Want: remediate.Ready}); reason != "" || !done.Until.IsZero() {
		t.Errorf("got %+v, %s", done, reason)
	}
	if got := s.balancers["edge"].row("s0").Admin; got != 0 || len(s.book.Ledger().Orders) != 0 {
		t.Errorf("after ready: %s, orders %v", got, s.book.Ledger().Orders)
	}
}

func TestANameMeansOneServer(t *testing.T) {
	s := newStage(t)
	for name, want := range map[string]struct {
		target string
		reason Reason
	}{
		"web/only-inner":                  {target: "inner/web/only-inner"},
		"web/s2":                          {target: "edge/web/s2"},
		"web/s0":                          {reason: AmbiguousName},
		"web/s9":                          {reason: UnknownServer},
		"edge/web/s9":                     {reason: UnknownServer},
		"edge/weeb/s1":                    {reason: UnknownServer},
		"outer/web/s1":                    {reason: UnknownBalancer},
		"nothing":                         {reason: UnknownService},
		"*":                               {reason: BadName},
		"web/*":                           {reason: BadName},
		"web/s0;quit":                     {reason: BadName},
		"web/s0\nquit":                    {reason: BadName},
		"../../etc":                       {reason: BadName},
		"a/b/c/d":                         {reason: BadName},
		"edge//s0":                        {reason: BadName},
		"":                                {reason: BadName},
		"edge/web/s0 x":                   {reason: BadName},
		"edge/[web]/s0":                   {reason: BadName},
		"web/" + strings.Repeat("x", 129): {reason: BadName},
	} {
		done, reason := s.order(Order{Target: name, Want: remediate.Maint, Force: true})
		if done.Target != want.target || reason != want.reason {
			t.Errorf("%q: got %q, %q, want %q, %q", name, done.Target, reason, want.target, want.reason)
		}
	}
}

func TestANameIsNotGuessedWhileABalancerCannotBeRead(t *testing.T) {
	s := newStage(t)
	s.balancers["inner"].set(func(b *fakeBalancer) { b.down = errors.New("connection refused"); b.rows = nil })
	s.until("inner unreadable", func() bool {
		st, err := s.client.Status(t.Context())
		return err == nil && st.Balancers[1].Error != ""
	})
	if _, reason := s.order(Order{Target: "web/s2", Want: remediate.Drain}); reason != AmbiguousName {
		t.Errorf("got %q", reason)
	}
	if done, reason := s.order(Order{Target: "edge/web/s2", Want: remediate.Drain}); reason != "" {
		t.Errorf("got %+v, %q", done, reason)
	}
}

func TestEachRefusalHasItsStatus(t *testing.T) {
	s := newStage(t)
	if _, reason := s.order(Order{Target: "edge/web/s0", Want: remediate.Drain}); reason != "" {
		t.Fatal(reason)
	}
	refused := func(name string, o Order, status int, reason Reason, words string) {
		t.Helper()
		var p *Problem
		if _, err := s.client.Order(t.Context(), o); !errors.As(err, &p) || p.Status != status || p.Reason != reason || !strings.Contains(p.Detail, words) {
			t.Errorf("%s: got %v %+v", name, err, p)
		}
	}
	refused("below the floor", Order{Target: "edge/web/s1", Want: remediate.Drain}, http.StatusConflict, Reason(remediate.HoldFloor), "--force")
	refused("another verb", Order{Target: "edge/web/s1", Want: remediate.ForceDown}, http.StatusBadRequest, BadRequest, "drain, maint or ready")
	refused("ready with an end", Order{Target: "edge/web/s1", Want: remediate.Ready, For: 1}, http.StatusBadRequest, BadRequest, "no end")
	refused("a negative time", Order{Target: "edge/web/s1", Want: remediate.Drain, For: -1}, http.StatusBadRequest, BadRequest, "between 0")

	s.balancers["edge"].set(func(b *fakeBalancer) { b.refuse = func(remediate.Action) string { return "permission denied" } })
	refused("the balancer refuses", Order{Target: "edge/web/s1", Want: remediate.Maint, Force: true}, http.StatusBadGateway, BalancerFailed, "permission denied")
	s.balancers["edge"].set(func(b *fakeBalancer) { b.refuse, b.down = nil, errors.New("connection\nrefused") })
	refused("the balancer is gone", Order{Target: "edge/web/s2", Want: remediate.Maint}, http.StatusBadGateway, BalancerFailed, "connection; refused")
	if err := s.book.Close(); err != nil {
		t.Fatal(err)
	}
	refused("no journal", Order{Target: "inner/web/s0", Want: remediate.Maint}, http.StatusServiceUnavailable, NoJournal, "closed")
	if got := s.balancers["inner"].row("s0").Admin; got != 0 {
		t.Errorf("it was done without a journal: %s", got)
	}
	if _, err := s.client.Freeze(t.Context(), ""); err == nil || !strings.Contains(err.Error(), string(NoJournal)) {
		t.Errorf("freeze without a journal: %v", err)
	}
}

func TestAnOrderIsFinishedThoughItsCallerGoesAway(t *testing.T) {
	s := newStage(t)
	acting, goOn := make(chan struct{}), make(chan struct{})
	cut := make(chan error, 1)
	s.balancers["edge"].set(func(b *fakeBalancer) {
		b.during = func(ctx context.Context) {
			close(acting)
			<-goOn
			cut <- ctx.Err()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		_, err := s.client.Order(ctx, Order{Target: "edge/web/s0", Want: remediate.Drain})
		answered <- err
	}()
	<-acting
	cancel()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	close(goOn)
	if err := <-cut; err != nil {
		t.Errorf("the order was cut off: %v", err)
	}
	s.until("drained", func() bool { return s.balancers["edge"].row("s0").Admin == remediate.ForcedDrain })
}

func TestALocalServiceTakesOrdersToo(t *testing.T) {
	s := newStage(t)
	if done, reason := s.order(Order{Target: "web", Want: remediate.Drain, Reason: "deploy"}); reason != "" || done.Target != "web" {
		t.Fatalf("got %+v, %q", done, reason)
	}
	got := service(t, s, "web").Admin
	if got.State != healthd.Drain || got.Reason != "deploy" || got.By != Name(os.Getuid()) {
		t.Errorf("got %+v", got)
	}
	if other := service(t, s, "api").Admin; other.State != healthd.Ready {
		t.Errorf("api was ordered too: %+v", other)
	}
	if _, reason := s.order(Order{Target: "web", Want: remediate.Ready}); reason != "" {
		t.Fatal(reason)
	}
	if got := service(t, s, "web").Admin.State; got != healthd.Ready {
		t.Errorf("got %s", got)
	}
}

func TestFreezeAndThawSayWhoAndWhy(t *testing.T) {
	s := newStage(t)
	done, err := s.client.Thaw(t.Context(), "")
	if err != nil || done.Did != "automation was not frozen" || s.book.Ledger().Frozen != nil {
		t.Errorf("got %+v, %v", done, err)
	}
	if _, err = s.client.Freeze(t.Context(), "storm"); err != nil {
		t.Fatal(err)
	}
	st, err := s.client.Status(t.Context())
	if err != nil || st.Frozen == nil || st.Frozen.Reason != "storm" || st.Frozen.By != Name(os.Getuid()) || st.Balancers[0].Frozen == "" {
		t.Errorf("got %+v, %v", st.Frozen, err)
	}
	if _, reason := s.order(Order{Target: "edge/web/s0", Want: remediate.Drain}); reason != "" {
		t.Errorf("an operator's order is refused while automation is frozen: %s", reason)
	}
	done, err = s.client.Thaw(t.Context(), "over")
	if err != nil || !strings.Contains(done.Did, "storm") || s.book.Ledger().Frozen != nil {
		t.Errorf("got %+v, %v", done, err)
	}
}

func TestAnotherOperatorsOrderIsNotReplacedUnasked(t *testing.T) {
	s := newStage(t)
	alice := control.Order{Backend: "web", Server: "s0", Want: remediate.Maint, By: "alice (uid 1000)", Reason: "new kernel"}
	if err := s.server.controllers()["edge"].Do(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	for _, want := range []remediate.Verb{remediate.Ready, remediate.Drain, remediate.Maint} {
		var p *Problem
		_, err := s.client.Order(t.Context(), Order{Target: "edge/web/s0", Want: want})
		if !errors.As(err, &p) || p.Status != http.StatusConflict || p.Reason != OtherOperator {
			t.Fatalf("%s: got %v", want, err)
		}
		for _, words := range []string{"alice (uid 1000)", "new kernel", Name(os.Getuid()), "--force"} {
			if !strings.Contains(p.Detail, words) {
				t.Errorf("%s: no %q in %q", want, words, p.Detail)
			}
		}
	}
	if got := s.balancers["edge"].row("s0").Admin; got != remediate.ForcedMaint {
		t.Errorf("got %s", got)
	}
	if _, reason := s.order(Order{Target: "edge/web/s0", Want: remediate.Ready, Force: true}); reason != "" || s.balancers["edge"].row("s0").Admin != 0 {
		t.Errorf("forced: %q", reason)
	}
}

func TestAStopWaitsForTheOrderThatIsBeingCarriedOut(t *testing.T) {
	s := newStage(t)
	acting, goOn := make(chan struct{}), make(chan struct{})
	s.balancers["edge"].set(func(b *fakeBalancer) {
		b.during = func(context.Context) { close(acting); <-goOn }
	})
	answered := make(chan error, 1)
	go func() {
		_, err := s.client.Order(t.Context(), Order{Target: "edge/web/s0", Want: remediate.Drain})
		answered <- err
	}()
	<-acting
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	<-s.server.stopped()
	close(goOn)
	if err := <-answered; err != nil {
		t.Errorf("got %v", err)
	}
	<-stopped
	if got := s.balancers["edge"].row("s0").Admin; got != remediate.ForcedDrain {
		t.Errorf("got %s", got)
	}
}

func TestACheckSaysWhetherANameMayBeOrderedAndDoesNothing(t *testing.T) {
	s := newStage(t)
	for name, want := range map[string]Reason{
		"edge/web/s0": "", "web/s2": "", "web": "", "web/s0": AmbiguousName, "edge/web/s9": UnknownServer, "web/s9": UnknownServer,
		"outer/web/s0": UnknownBalancer, "nothing": UnknownService,
	} {
		if _, reason := s.order(Order{Target: name, Want: remediate.Drain, Check: true}); reason != want {
			t.Errorf("%s: %q, want %q", name, reason, want)
		}
	}
	if len(s.book.Ledger().Orders) > 0 || s.balancers["edge"].row("s0").Admin != 0 || service(t, s, "web").Admin.State != healthd.Ready {
		t.Errorf("something was done: %v", s.book.Ledger().Orders)
	}
}
