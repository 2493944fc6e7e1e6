package admin

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
	"github.com/lbmedic/lbmedic/remediate"
)

// sidecarHost is the stage of an app's host, and two stages of controllers that it asks.
type sidecarHost struct {
	*stage
	first, second *remoteStage
}

const appAddress = "127.0.0.9:8080"

func newSidecarHost(t *testing.T) *sidecarHost {
	t.Helper()
	h := &sidecarHost{stage: newStage(t)}
	h.server.Board.Replace([]probe.Service{{Name: "api"}, {Name: "web", Address: appAddress}})
	ca := newAuthority(t, "fleet")
	cert, key := ca.issue("sidecar", "sidecar.example", nil)
	var urls []string
	for _, to := range []**remoteStage{&h.first, &h.second} {
		*to = overTCP(t, newStage(t), map[string]Role{"sidecar.example": Ask})
		c := *to
		serverCert, serverKey := ca.issue("controller", "controller.example", nil)
		c.server.Remote.certs.mu.Lock()
		c.server.Remote.certs.cert, c.server.Remote.certs.key, c.server.Remote.certs.ca = serverCert, serverKey, ca.file
		c.server.Remote.certs.mu.Unlock()
		c.balancers["edge"].set(func(b *fakeBalancer) { b.rows[0].Address = appAddress })
		c.until("the address is known", func() bool {
			st, err := c.client.Status(t.Context())
			return err == nil && st.Balancers[0].Servers[0].Address == appAddress
		})
		urls = append(urls, "https://"+c.address)
		// The next one is issued into the same files; they are read before that.
		c.server.Remote.certs.current()
	}
	var err error
	h.server.Witnesses, err = NewWitnesses(WitnessSettings{Controllers: urls, CA: ca.file, Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// drains orders the service out and waits for it.
func (h *sidecarHost) drains(timeout time.Duration) (told chan ServiceDrain, ended chan ServiceDrain) {
	h.t.Helper()
	if _, reason := h.order(Order{Target: "web", Want: remediate.Drain}); reason != "" {
		h.t.Fatal(reason)
	}
	return awaitService(h.stage, timeout)
}

func awaitService(s *stage, timeout time.Duration) (told chan ServiceDrain, ended chan ServiceDrain) {
	told, ended = make(chan ServiceDrain, 1000), make(chan ServiceDrain, 1)
	go func() {
		last, err := s.client.AwaitService(s.t.Context(), "web", timeout, func(d ServiceDrain) { told <- d })
		if err != nil {
			s.t.Error(err)
		}
		ended <- last
	}()
	return told, ended
}

func out(c *remoteStage) {
	c.balancers["edge"].set(func(b *fakeBalancer) { b.rows[0].Admin = remediate.ForcedDrain })
}

func (d ServiceDrain) states() (s []WitnessState) {
	for _, a := range d.Acks {
		s = append(s, a.State)
	}
	return s
}

func TestADrainOfAServiceWaitsForEveryController(t *testing.T) {
	h := newSidecarHost(t)
	told, ended := h.drains(time.Minute)
	if d := <-told; !slices.Equal(d.states(), []WitnessState{WitnessDraining, WitnessDraining}) || d.Acks[0].Servers[0].Target.String() != "edge/web/s0" {
		t.Errorf("got %+v", d)
	}
	out(h.first)
	if d := <-told; !slices.Equal(d.states(), []WitnessState{WitnessDrained, WitnessDraining}) {
		t.Errorf("got %+v", d)
	}
	h.second.balancers["edge"].set(func(b *fakeBalancer) { b.down = errors.New("connection refused") })
	for d := range told {
		if d.Acks[1].State == WitnessUnknown {
			break
		}
	}
	h.second.balancers["edge"].set(func(b *fakeBalancer) { b.down = nil })
	out(h.second)
	if d := <-ended; d.End != EndDrained || !d.Confirmed() {
		t.Errorf("got %+v", d)
	}
}

// A controller that was drained and is not any more, as after a reload, is not counted.
func TestAnOldAnswerIsNotAnAnswer(t *testing.T) {
	h := newSidecarHost(t)
	out(h.first)
	told, ended := h.drains(time.Minute)
	if d := <-told; !slices.Equal(d.states(), []WitnessState{WitnessDrained, WitnessDraining}) {
		t.Errorf("got %+v", d)
	}
	h.first.balancers["edge"].set(func(b *fakeBalancer) { b.rows[0].Admin = 0 })
	if d := <-told; d.Acks[0].State != WitnessDraining {
		t.Errorf("got %+v", d)
	}
	out(h.second)
	if d := <-told; d.Confirmed() {
		t.Errorf("got %+v", d)
	}
	out(h.first)
	if d := <-ended; d.End != EndDrained {
		t.Errorf("got %+v", d)
	}
}

func TestAControllerThatDoesNotAnswerIsNoConfirmation(t *testing.T) {
	h := newSidecarHost(t)
	out(h.first)
	out(h.second)
	h.second.server.ReplaceFleet(nil, 0, nil) // it answers, and that is no
	_, ended := h.drains(1200 * time.Millisecond)
	d := <-ended
	if d.End != EndTimeout || d.Acks[1].State != WitnessUnknown || !strings.Contains(d.Acks[1].Detail, "not in admin.remote.allow") || d.Acks[0].State != WitnessDrained {
		t.Errorf("got %+v", d)
	}
	if svc := service(t, h.stage, "web"); svc.Admin.State.String() != "drain" {
		t.Error("the order did not outlast the wait")
	}
}

func TestWithoutAControllerNothingIsConfirmed(t *testing.T) {
	s := newStage(t)
	s.server.DrainWait = 150 * time.Millisecond
	if _, reason := s.order(Order{Target: "web", Want: remediate.Drain}); reason != "" {
		t.Fatal(reason)
	}
	begun := time.Now()
	told, ended := awaitService(s, time.Minute)
	if d := <-told; d.Confirmed() || !strings.HasPrefix(d.Detail, "UNCONFIRMED") {
		t.Errorf("got %+v", d)
	}
	if d := <-ended; d.End != EndUnconfirmed || d.Confirmed() || !strings.HasPrefix(d.Detail, "UNCONFIRMED after 150ms") {
		t.Errorf("got %+v", d)
	}
	if took := time.Since(begun); took < s.server.DrainWait {
		t.Errorf("it waited for %s", took)
	}
}

func TestAWaitForAServiceEndsWithItsOrder(t *testing.T) {
	h := newSidecarHost(t)
	told, ended := h.drains(time.Minute)
	<-told
	if _, reason := h.order(Order{Target: "web", Want: remediate.Ready}); reason != "" {
		t.Fatal(reason)
	}
	if d := <-ended; d.End != EndLifted {
		t.Errorf("got %+v", d)
	}
	if _, reason := h.order(Order{Target: "web", Want: remediate.Drain, For: Duration(300 * time.Millisecond)}); reason != "" {
		t.Fatal(reason)
	}
	_, ended = awaitService(h.stage, time.Minute)
	if d := <-ended; d.End != EndLifted {
		t.Errorf("its time was over: got %+v", d)
	}
	told, ended = h.drains(time.Minute)
	<-told
	h.stop()
	if d := <-ended; d.End != EndStopping {
		t.Errorf("got %+v", d)
	}
}

func TestEachOperatorEndsTheirOwnOrderForAService(t *testing.T) {
	s := newStage(t)
	s.until("leases", func() bool { return s.server.Leases != nil })
	give := func(by string, o Order) (Done, error) {
		o.Target = "web"
		v, err := s.server.orderService(o, "web", by)
		done, _ := v.(Done)
		return done, err
	}
	until := time.Now().Add(time.Hour)
	if done, err := give("alice", Order{Want: remediate.Drain, For: Duration(time.Hour), Reason: "disk"}); err != nil || done.Until.Before(until) {
		t.Errorf("%+v, %v", done, err)
	}
	if done, err := give("deploy", Order{Want: remediate.Drain, For: Duration(time.Minute)}); err != nil || done.Until.Before(until) {
		t.Errorf("a second drain cuts the first short: %+v, %v", done, err)
	}
	if done, err := give("deploy", Order{Want: remediate.Ready}); err != nil || !strings.Contains(done.Did, "it stays in drain by alice") || !strings.Contains(done.Did, ": disk") {
		t.Errorf("%+v, %v", done, err)
	}
	var p *Problem
	if done, err := give("deploy", Order{Want: remediate.Ready}); !errors.As(err, &p) || p.Reason != OtherOperator || !strings.Contains(p.Detail, "drain by alice") {
		t.Errorf("%+v, %v", done, err)
	}
	if svc := service(t, s, "web"); svc.Admin.By != "alice" {
		t.Errorf("%+v", svc.Admin)
	}
	if _, err := give("deploy", Order{Want: remediate.Ready, Force: true}); err != nil || service(t, s, "web").Admin.State.String() != "ready" {
		t.Errorf("forced: %v", err)
	}
}

func TestAnAddressMeansThisHostOnlyToWhoIsOnIt(t *testing.T) {
	host := []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("fd00::5")}
	views := []serve.View{{Service: "web", Address: "192.0.2.7:80"}, {Address: "192.0.2.8:8080"}, {Address: "192.0.2.9:9999"}, {Service: "api", Address: "192.0.2.1:8080"}}
	for name, c := range map[string]struct {
		address string
		views   []serve.View
		local   bool
		want    string
	}{
		"one":                 {address: "10.0.0.6:8080", want: "10.0.0.6:8080"},
		"loopback":            {address: "127.0.0.1:8080", want: "10.0.0.5:8080, [fd00::5]:8080"},
		"loopback, here":      {address: "127.0.0.1:8080", local: true, want: "127.0.0.1:8080, 10.0.0.5:8080, [fd00::5]:8080"},
		"wildcard":            {address: ":8080", want: "10.0.0.5:8080, [fd00::5]:8080"},
		"wildcard, here":      {address: "[::]:8080", local: true, want: "127.0.0.1:8080, [::1]:8080, 10.0.0.5:8080, [fd00::5]:8080"},
		"as balancers say":    {address: "10.0.0.6:8080", views: views, want: "192.0.2.7:80, 192.0.2.8:8080, 10.0.0.6:8080"},
		"only balancers know": {views: views, want: "192.0.2.7:80"},
		"nothing":             {},
		"a name":              {address: "app.example:8080"},
	} {
		if got := joined(whereabouts{name: "web", address: c.address, host: host, views: c.views}.at(c.local)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestWitnessesAreHTTPSOnly(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, key := ca.issue("sidecar", "sidecar.example", nil)
	for _, url := range []string{"http://10.0.0.2:7784", "https://", "10.0.0.2:7784", "https://u:p@10.0.0.2:1", "https://10.0.0.2/x", "https://10.0.0.2?x=1", ""} {
		if _, err := NewWitnesses(WitnessSettings{Controllers: []string{url}, CA: ca.file, Cert: cert, Key: key}); err == nil || !strings.Contains(err.Error(), "health.controllers: ") {
			t.Errorf("%q: %v", url, err)
		}
	}
	for name, s := range map[string]WitnessSettings{"no controller": {CA: ca.file, Cert: cert, Key: key}, "no file": {Controllers: []string{"https://10.0.0.2:1"}, CA: ca.file, Cert: cert, Key: key + "x"},
		"a key for a certificate": {Controllers: []string{"https://10.0.0.2:1"}, CA: key, Cert: cert, Key: key}} {
		if _, err := NewWitnesses(s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A controller whose certificate comes from elsewhere, or is for another name, is not believed.
func TestAControllerMustBeTheOneThatIsNamed(t *testing.T) {
	h := newSidecarHost(t)
	at := func(bool) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(appAddress)} }
	acks := h.server.Witnesses.ask(context.Background(), at)
	if acks[0].State != WitnessDraining {
		t.Fatalf("got %+v", acks)
	}
	h.server.Witnesses.controllers[0].Host = strings.Replace(h.first.address, "127.0.0.1", "localhost", 1)
	other := newAuthority(t, "other")
	cert, key := other.issue("controller", "controller.example", nil)
	c := h.second.server.Remote.certs
	c.mu.Lock()
	c.cert, c.key = cert, key
	c.mu.Unlock()
	acks = h.server.Witnesses.ask(context.Background(), at)
	for i, words := range []string{"not localhost", "unknown authority"} {
		if acks[i].State != WitnessUnknown || !strings.Contains(acks[i].Detail, words) {
			t.Errorf("got %+v, want %q", acks[i], words)
		}
	}
}

func TestADrainIsConfirmedByAllOrNotAtAll(t *testing.T) {
	for name, c := range map[string]struct {
		states []WitnessState
		want   bool
	}{
		"nobody":                {nil, false},
		"all drained":           {[]WitnessState{WitnessDrained, WitnessDrained}, true},
		"one has no such":       {[]WitnessState{WitnessDrained, WitnessAbsent}, true},
		"nobody has such":       {[]WitnessState{WitnessAbsent, WitnessAbsent}, false},
		"one draining":          {[]WitnessState{WitnessDrained, WitnessDraining}, false},
		"one unknown":           {[]WitnessState{WitnessUnknown, WitnessDrained}, false},
		"one says another word": {[]WitnessState{"fine", WitnessDrained}, false},
	} {
		var d ServiceDrain
		for _, s := range c.states {
			d.Acks = append(d.Acks, Ack{State: s})
		}
		if got := d.Confirmed(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
