package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// AgentSettings of an Agent.
type AgentSettings struct {
	Source  Source
	Orders  Orders
	Service string // whose word is given; with Send, for a caller that sends no name
	Send    bool   // reads the name of a service first, from HAProxy's agent-send "NAME\n"
	Limits  Limits
	Problem func(error) // hears why a balancer was left without an answer, once until it changes; nil hears nothing
}

// Agent answers HAProxy's agent-check: one line, ended by a line feed.
//
// The words, as HAProxy 2.2, 2.6, 3.0 and 3.2 take them: "up", "down #reason" (without the space it is ignored), "drain", "maint", and
// "ready up" to the balancers that heard our own drain or maint, for "ready" cancels an operator's too. A refused connection or an
// answer without a line changes nothing there, so silence is what we say while we do not know.
type Agent struct {
	settings AgentSettings
	lines    press[map[string]string]
	mu       sync.Mutex
	told     string          // the last problem
	unknown  map[string]bool // the names that callers sent and that mean nothing here, as far as they were told
}

const (
	readName  = 100 * time.Millisecond // for agent-send
	agentCall = 500 * time.Millisecond // for one connection in all
	maxUnread = 4 << 10                // of what a caller sent and we drain
	maxReason = 128
	shortage  = 50 * time.Millisecond // between two tries to accept while there are no descriptors
	maxTold   = 16                    // of unknown names: a caller makes up as many as it likes
)

// NewAgent makes the listener's part; Run starts it.
func NewAgent(s AgentSettings) *Agent {
	a := &Agent{settings: s}
	a.lines.source, a.lines.render = s.Source, healthLines
	if a.settings.Problem == nil {
		a.settings.Problem = func(error) {}
	}
	return a
}

// Run waits for the end of the first round of checks, opens the port by listen, and answers until ctx ends.
func (a *Agent) Run(ctx context.Context, listen func() (net.Listener, error)) error {
	for s := a.settings.Source.Latest(); !s.Settled(); {
		var err error
		if s, err = a.settings.Source.Wait(ctx, s.Generation); err != nil {
			return nil
		}
	}
	raw, err := listen()
	if err != nil {
		return fmt.Errorf("open the agent-check port: %w", err)
	}
	l := guard(raw, a.settings.Limits)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // ends Accept, which says so
	defer stop()
	var calls sync.WaitGroup
	defer calls.Wait() // each is bounded by agentCall
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				err = c.Close()
			}
			return nil
		}
		if err != nil {
			if temporary(err) {
				select {
				case <-ctx.Done():
				case <-time.After(shortage):
				}
				continue
			}
			_ = l.Close()
			return fmt.Errorf("accept on the agent-check port: %w", err)
		}
		calls.Go(func() { a.answer(c.(*conn)) }) // what a guarded listener accepts
	}
}

// answer writes the line, ends our side, and reads what the caller sent: closing with unread bytes would send a reset, which eats
// the answer before HAProxy reads it. HAProxy (2.2 to 3.2) resets a check that it has given up, so that the write fails and a "ready" that
// nobody read is not taken for heard; how a check that did read it ends, by a reset or not, says nothing.
func (a *Agent) answer(c *conn) {
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(agentCall)); err != nil {
		return
	}
	service := a.settings.Service
	if a.settings.Send {
		service = nameFrom(c, service)
	}
	if _, known := a.settings.Source.Latest().Service(service); !known && service != "" {
		a.tellUnknown(service, c.peer.String())
		return // HAProxy keeps the last word that it heard
	}
	text, returns, err := a.line(service, c)
	if text == "" || err != nil {
		a.tell(err)
		return
	}
	if _, err := io.WriteString(c, text); err != nil {
		return
	}
	if returns {
		err = a.settings.Orders.Heard(service, c.peer)
	}
	a.tell(err)
	if err := c.CloseWrite(); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c, maxUnread)
}

// nameFrom reads the line that agent-send sends, or gives the default where none comes in time.
func nameFrom(c *conn, service string) string {
	if err := c.SetReadDeadline(time.Now().Add(readName)); err != nil {
		return service
	}
	name, err := bufio.NewReaderSize(io.LimitReader(c, 256), 256).ReadString('\n')
	if derr := c.SetReadDeadline(time.Now().Add(agentCall)); derr != nil || err != nil {
		return service
	}
	if name = strings.TrimSpace(name); name == "" {
		return service
	}
	return name
}

// line is what the caller is to hear: the admin word where there is one, else the health word; empty for nothing. It returns from an order
// of ours where the line says "ready".
func (a *Agent) line(service string, c *conn) (text string, returns bool, err error) {
	health := (*a.lines.latest())[service]
	if health == "" {
		return "", false, nil
	}
	word, ok, err := a.settings.Orders.Say(service, c.peer)
	switch {
	case err != nil:
		return "", false, err
	case ok && word == healthd.Ready:
		return "ready " + health, true, nil
	case ok:
		return word.String() + "\n", false, nil
	}
	return health, false, nil
}

// tellUnknown reports each unknown name once, whatever other callers hear in between.
func (a *Agent) tellUnknown(service, peer string) {
	a.mu.Lock()
	told := a.unknown[service] || len(a.unknown) >= maxTold
	if !told {
		if a.unknown == nil {
			a.unknown = map[string]bool{}
		}
		a.unknown[service] = true
	}
	a.mu.Unlock()
	if !told {
		a.settings.Problem(fmt.Errorf("%s asks for the service %q (agent-send), and there is none: it gets no answer and keeps its last word", peer, healthd.Line(service, 64)))
	}
}

// tell reports a problem once until it changes or is over.
func (a *Agent) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	a.mu.Lock()
	changed := text != a.told
	a.told = text
	a.mu.Unlock()
	if changed && err != nil {
		a.settings.Problem(err)
	}
}

// healthLines are the health words of all services that are known.
func healthLines(s *healthd.Snapshot) *map[string]string {
	lines := make(map[string]string, len(s.Services))
	for i := range s.Services {
		svc := &s.Services[i]
		switch svc.Status {
		case healthd.Pass, healthd.Warn:
			lines[svc.Name] = "up\n"
		case healthd.Fail:
			lines[svc.Name] = "down #" + healthd.Line(blame(svc), maxReason) + "\n"
		}
	}
	return &lines
}

func blame(svc *healthd.Service) string {
	if c := svc.Blame(); c != nil {
		return c.Name + ": " + c.Verdict.Last.Detail
	}
	return "not measured since it failed"
}

// temporary errors of Accept end with the shortage they come from.
func temporary(err error) bool {
	ne, ok := errors.AsType[*net.OpError](err)
	return ok && ne.Temporary()
}
