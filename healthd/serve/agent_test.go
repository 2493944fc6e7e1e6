package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/probe"
)

// agent runs one for b and gives the address once the port is open.
func agent(t *testing.T, s AgentSettings) func() string {
	t.Helper()
	open := make(chan string, 1)
	until(t, func(ctx context.Context) error {
		return NewAgent(s).Run(ctx, func() (net.Listener, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err == nil {
				open <- l.Addr().String()
			}
			return l, err
		})
	})
	return func() string {
		select {
		case a := <-open:
			return a
		case <-time.After(10 * time.Second):
			t.Fatal("the agent's port did not open")
			return ""
		}
	}
}

// settle ends the first round.
func settle(b *probe.Board) {
	report(b, "web/app", healthd.OK, 1)
	report(b, "api/app", healthd.OK, 1)
}

func hear(t *testing.T, address, source, send string) string {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%q, then %v", said, err)
	}
	return string(said)
}

func TestAgentSaysTheWordsThatHAProxyTakes(t *testing.T) {
	b := board(t)
	settle(b)
	address := agent(t, AgentSettings{Source: b, Orders: b, Service: "web"})()
	for _, step := range []struct {
		name   string
		do     func()
		source string
		want   []string
	}{
		{"pass", func() {}, "127.0.0.1", []string{"up\n"}},
		{"warn", func() { report(b, "web/orders", healthd.Refused, 3) }, "127.0.0.1", []string{"up\n"}},
		{"fail", func() { report(b, "web/app", healthd.Refused, 3) }, "127.0.0.1", []string{"down #app: seen refused\n"}},
		{"pass again", func() { report(b, "web/app", healthd.OK, 2) }, "127.0.0.1", []string{"up\n"}},
		{"drain", func() { order(t, b, "web", healthd.Drain, "x") }, "127.0.0.1", []string{"drain\n", "drain\n"}},
		{"maint", func() { order(t, b, "web", healthd.Maint, "x") }, "127.0.0.1", []string{"maint\n"}},
		{"ready to one that never heard of it", func() { order(t, b, "web", healthd.Ready, "") }, "127.0.0.2", []string{"up\n"}},
		{"ready", func() {}, "127.0.0.1", []string{"ready up\n", "ready up\n", "ready up\n", "ready up\n", "ready up\n"}},
		{"drain that another hears", func() { order(t, b, "web", healthd.Drain, "x") }, "127.0.0.2", []string{"drain\n"}},
		{"ready to the other", func() { order(t, b, "web", healthd.Ready, "x") }, "127.0.0.2", []string{"ready up\n"}},
		{"nothing to a third", func() {}, "127.0.0.3", []string{"up\n"}},
		{"ready while failing", func() { report(b, "web/app", healthd.TimedOut, 3) }, "127.0.0.2", []string{"ready down #app: seen timeout\n"}},
	} {
		step.do()
		for _, want := range step.want {
			if got := hear(t, address, step.source, ""); got != want {
				t.Errorf("%s: %q, want %q", step.name, got, want)
			}
		}
	}
}

func TestAgentReasonIsOneBoundedLine(t *testing.T) {
	b := board(t)
	settle(b)
	for range 3 {
		b.Report("web", "app", healthd.NewOutcome(time.Now(), 0, healthd.WrongAnswer, "a\nready up\r\x1b[31m"+strings.Repeat("x", 500)))
	}
	got := hear(t, agent(t, AgentSettings{Source: b, Orders: b, Service: "web"})(), "127.0.0.1", "")
	if !strings.HasPrefix(got, `down #app: a\nready up\r\x1b[31mxxx`) || !strings.HasSuffix(got, "...\n") || len(got) > len("down #\n")+maxReason || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}

func TestAgentChoosesTheServiceByWhatIsSent(t *testing.T) {
	b := board(t)
	settle(b)
	report(b, "api/app", healthd.Refused, 3)
	address := agent(t, AgentSettings{Source: b, Orders: b, Service: "web", Send: true})()
	for name, c := range map[string]struct{ send, want string }{
		"by name":              {"api\n", "down #app: seen refused\n"},
		"with carriage return": {"api\r\n", "down #app: seen refused\n"},
		"with its row":         {"api api/w1\n", "down #app: seen refused\n"},
		"nothing":              {"", ""},
		"an empty line":        {"\n", ""},
		"half a line":          {"web", ""}, // whose, if more were to come, nobody knows
		"unknown":              {"nobody\n", ""},
		"more than a line":     {"web\n" + strings.Repeat("x", 3000), "up\n"},
	} {
		if got := hear(t, address, "127.0.0.1", c.send); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A busy HAProxy sends late; another service's word would put the server out for as long as that one fails.
func TestALateNameIsWaitedForAndNeverTakenForAnother(t *testing.T) {
	b := board(t)
	settle(b)
	report(b, "web/app", healthd.Refused, 3)
	problems := make(chan error, 10)
	address := agent(t, AgentSettings{Source: b, Orders: b, Service: "web", Send: true, Problem: func(err error) { problems <- err }})()
	for late, want := range map[time.Duration]string{readName / 3: "up\n", 2 * readName: ""} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		<-time.After(late)
		_, _ = io.WriteString(c, "api\n") // refused or not: it is too late
		if said, _ := io.ReadAll(c); string(said) != want {
			t.Errorf("api sent after %s hears %q, want %q", late, said, want)
		}
	}
	hear(t, address, "127.0.0.1", "")
	if err := <-problems; len(problems) != 0 || !strings.Contains(err.Error(), "127.0.0.1 sends no whole name") {
		t.Errorf("told %v and %d more", err, len(problems))
	}
}

// Unread bytes would turn our close into a reset, which eats the answer.
func TestAgentReadsWhatItWasSentBeforeItCloses(t *testing.T) {
	b := board(t)
	settle(b)
	address := agent(t, AgentSettings{Source: b, Orders: b, Service: "web"})()
	for range 100 {
		if got := hear(t, address, "127.0.0.1", "web agent send\n"); got != "up\n" {
			t.Fatalf("heard %q", got)
		}
	}
}

func TestAgentOpensAfterTheFirstRound(t *testing.T) {
	b := board(t)
	opened := make(chan bool, 1)
	until(t, func(ctx context.Context) error {
		return NewAgent(AgentSettings{Source: b, Orders: b, Service: "web"}).Run(ctx, func() (net.Listener, error) {
			opened <- true
			return net.Listen("tcp", "127.0.0.1:0")
		})
	})
	report(b, "web/app", healthd.OK, 1)
	select {
	case <-opened:
		t.Error("open while api is unknown")
	case <-time.After(30 * time.Millisecond):
	}
	report(b, "api/app", healthd.Refused, 3)
	select {
	case <-opened:
	case <-time.After(10 * time.Second):
		t.Error("not open after the first round")
	}
}

// A check that can never be made silences its own service and no other.
func TestAgentSpeaksOfTheServicesThatAreKnown(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	report(b, "api/app", healthd.OwnFault, 1)
	address := agent(t, AgentSettings{Source: b, Orders: b, Service: "web", Send: true})()
	for service, want := range map[string]string{"web": "up\n", "api": ""} {
		if got := hear(t, address, "127.0.0.1", service+"\n"); got != want {
			t.Errorf("%s: %q, want %q", service, got, want)
		}
	}
}

func TestAgentThatMayNotOpenItsPortSaysSo(t *testing.T) {
	b := board(t)
	settle(b)
	taken := errors.New("address already in use")
	err := NewAgent(AgentSettings{Source: b, Orders: b}).Run(t.Context(), func() (net.Listener, error) { return nil, taken })
	if !errors.Is(err, taken) || !strings.Contains(err.Error(), "open the agent-check port") {
		t.Errorf("got %v", err)
	}
}

type broken struct{}

func (broken) Say(string, netip.Addr, string) (healthd.AdminState, bool, error) {
	return healthd.Ready, false, errors.New("disk full")
}

func (broken) Heard(string, netip.Addr, string) error { return nil }

func (broken) Offer(string, netip.Addr, string) bool { return false }

// A word that could not be undone is not said: silence changes nothing in HAProxy.
func TestAgentIsSilentWhileOrdersCannotBeKept(t *testing.T) {
	b := board(t)
	settle(b)
	told := make(chan error, 10)
	address := agent(t, AgentSettings{Source: b, Orders: broken{}, Service: "web", Problem: func(err error) { told <- err }})()
	for i := range 6 {
		if got := hear(t, address, []string{"127.0.0.1", "127.0.0.2"}[i%2], ""); got != "" {
			t.Errorf("said %q", got)
		}
	}
	if len(told) != 2 { // once of each
		t.Errorf("told %d times", len(told))
	}
}

// A check that HAProxy gave up before it was answered has not heard that our drain is over; without the next one it would stay drained for ever.
func TestReadyIsOwedUntilItIsTaken(t *testing.T) {
	b := board(t)
	settle(b)
	order(t, b, "web", healthd.Drain, "x")
	gate := &gated{Board: b, asked: make(chan bool), open: make(chan bool)}
	address := agent(t, AgentSettings{Source: b, Orders: gate, Service: "web"})()
	go func() { <-gate.asked; gate.open <- true }()
	if got := hear(t, address, "127.0.0.1", ""); got != "drain\n" {
		t.Fatalf("heard %q", got)
	}
	order(t, b, "web", healthd.Ready, "")
	for range 2 * healthd.Returns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		<-gate.asked
		if err := c.(*net.TCPConn).SetLinger(0); err != nil { // as HAProxy closes
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		gate.open <- true
	}
	for i := range healthd.Returns {
		go func() { <-gate.asked; gate.open <- true }()
		if got := hear(t, address, "127.0.0.1", ""); got != "ready up\n" {
			t.Errorf("answer %d: %q", i, got)
		}
	}
}

// gated holds each answer back until the test lets it go.
type gated struct {
	*probe.Board
	asked, open chan bool
}

func (g *gated) Say(service string, balancer netip.Addr, row string) (healthd.AdminState, bool, error) {
	g.asked <- true
	<-g.open
	return g.Board.Say(service, balancer, row)
}

func TestAgentEndsACallerThatNeverCloses(t *testing.T) {
	b := board(t)
	settle(b)
	address := agent(t, AgentSettings{Source: b, Orders: b, Service: "web", Send: true})()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	if _, err := io.WriteString(c, "web\n"); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(c); string(said) != "up\n" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until the other side is closed for good, which resets what we still send
		_, err = io.WriteString(c, "x")
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("held for %s", took)
	}
}

func TestAServiceThatDoesNotExistIsToldOnce(t *testing.T) {
	b := board(t)
	settle(b)
	problems := make(chan error, 100)
	address := agent(t, AgentSettings{Source: b, Orders: b, Service: "web", Send: true, Problem: func(err error) { problems <- err }})()
	for range 3 {
		if got := hear(t, address, "127.0.0.2", "wbe\n"); got != "" {
			t.Errorf("an unknown service hears %q", got)
		}
		if got := hear(t, address, "127.0.0.1", "web\n"); got != "up\n" {
			t.Errorf("a known one hears %q", got)
		}
	}
	for i := range 2 * maxTold {
		hear(t, address, "127.0.0.1", strings.Repeat("x", i+1)+"\n")
	}
	if n := len(problems); n != maxTold {
		t.Errorf("%d problems were told, want %d", n, maxTold)
	}
	if err := <-problems; err.Error() != `127.0.0.2 asks for the service "wbe" (agent-send), and there is none: it gets no answer and keeps its last word` {
		t.Errorf("got %v", err)
	}
}
