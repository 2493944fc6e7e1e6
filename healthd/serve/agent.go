package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// AgentSettings of an Agent.
type AgentSettings struct {
	Source  Source
	Orders  Orders
	Service string // whose word is given, where not Send
	Send    bool   // gives the word of the service whose name HAProxy's agent-send sends, "NAME\n" or "NAME BACKEND/SERVER\n", and no other
	Limits  Limits

	Weights   Weights       // nil: no weight is ever given
	Views     *Views        // says where a percentage is a step; nil: nowhere, so that 0% and 100% are all that is given
	Drain     DrainWord     // how balancers are told to drain; DrainByState, also where Weights is nil
	SlowStart time.Duration // from ready to the whole weight, in steps of 25, 50 and 75 percent where they are possible; 0: at once

	Balancers []netip.Prefix // who may hear of an order or of less than the whole weight, beside this host, for it is owed the end; nil: anybody

	Problem  func(error)        // hears why a balancer was left without an answer, once until it changes; nil hears nothing
	Answered func(words string) // counts the answers, "" for silence, after each was sent; nil counts nothing
}

// Agent answers HAProxy's agent-check: one line, ended by a line feed. See said for the words. A refused connection or an answer without a
// line changes nothing in HAProxy, so silence is what we say while we do not know.
type Agent struct {
	settings AgentSettings
	lines    press[map[string]spoken]
	mu       sync.Mutex
	told     map[netip.Addr]string // the last problem with each caller
	once     map[string]bool       // what was told for good
}

const (
	readName  = 450 * time.Millisecond // for agent-send
	agentCall = time.Second            // for one connection in all
	maxUnread = 4 << 10                // of what a caller sent and we drain
	maxSent   = 512                    // of agent-send
	maxReason = 128
	shortage  = 50 * time.Millisecond // between two tries to accept while there are no descriptors
	maxTold   = 16                    // of what is told once: a caller makes up as many names as it likes
)

// NewAgent makes the listener's part; Run starts it.
func NewAgent(s AgentSettings) *Agent {
	a := &Agent{settings: s}
	a.lines.source, a.lines.render = s.Source, healthLines
	if a.settings.Problem == nil {
		a.settings.Problem = func(error) {}
	}
	if a.settings.Answered == nil {
		a.settings.Answered = func(string) {}
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
			if err == nil { // it came in at the last moment, and whoever takes over knows nothing of it
				calls.Go(func() { a.answer(c.(*conn)) })
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
	service, row := a.settings.Service, ""
	if a.settings.Send {
		var ok bool
		if service, row, ok = nameFrom(c); !ok { // another service's word might put this one out for good
			a.settings.Answered("")
			a.tellOnce(" "+c.peer.String(), fmt.Errorf("%s sends no whole name of a service within %s, as agent-send \"NAME\\n\" does: it gets no answer and keeps its last word", c.peer, readName))
			return
		}
	}
	if _, known := a.settings.Source.Latest().Service(service); !known && service != "" {
		a.settings.Answered("")
		a.tellOnce(service, fmt.Errorf("%s asks for the service %q (agent-send), and there is none: it gets no answer and keeps its last word", c.peer, healthd.Line(service, 64)))
		return // HAProxy keeps the last word that it heard
	}
	who := asker{c.peer, service, row, !a.settings.Send}
	line, err := a.line(who, time.Now())
	if line.silent() || err != nil {
		a.settings.Answered("")
		a.tell(c.peer, err)
		return
	}
	words := line.String()
	if _, err := io.WriteString(c, words); err != nil {
		return
	}
	defer a.settings.Answered(words)
	a.tell(c.peer, a.heard(who, line))
	if err := c.CloseWrite(); err != nil {
		return
	}
	var unread [512]byte
	for n := 0; n < maxUnread; {
		m, err := c.Conn.Read(unread[:])
		if n += m; err != nil {
			return
		}
	}
}

// nameFrom reads the line that agent-send sends. It is ok only where the line came in time and was whole.
func nameFrom(c *conn) (name, row string, ok bool) {
	if err := c.SetReadDeadline(time.Now().Add(readName)); err != nil {
		return "", "", false
	}
	line, err := bufio.NewReaderSize(io.LimitReader(c, maxSent), maxSent).ReadString('\n')
	if derr := c.SetReadDeadline(time.Now().Add(agentCall - readName)); derr != nil || err != nil {
		return "", "", false
	}
	name, row, _ = strings.Cut(strings.TrimSpace(line), " ")
	if row, err = parseRow(row); err != nil {
		row = ""
	}
	return name, row, name != ""
}

// tellOnce reports something once for each name, whatever other callers hear in between: for a service that is none here, or, after a space, which is in
// no name, for what it is about.
func (a *Agent) tellOnce(name string, err error) {
	a.mu.Lock()
	told := a.once[name] || len(a.once) >= maxTold
	if !told {
		if a.once == nil {
			a.once = map[string]bool{}
		}
		a.once[name] = true
	}
	a.mu.Unlock()
	if !told {
		a.settings.Problem(err)
	}
}

// tell reports a problem with a caller once until it changes or is over.
func (a *Agent) tell(peer netip.Addr, err error) {
	a.mu.Lock()
	if err == nil {
		delete(a.told, peer)
		a.mu.Unlock()
		return
	}
	last, known := a.told[peer]
	changed := last != err.Error() && (known || len(a.told) < maxTold)
	if changed {
		if a.told == nil {
			a.told = map[netip.Addr]string{}
		}
		a.told[peer] = err.Error()
	}
	a.mu.Unlock()
	if changed {
		a.settings.Problem(err)
	}
}

// temporary errors of Accept end with the shortage they come from.
func temporary(err error) bool {
	ne, ok := errors.AsType[*net.OpError](err)
	return ok && ne.Temporary()
}
