package serve

import (
	"io"
	"log"
	"net"
	"net/netip"
	"sync"
	"time"
)

// silent swallows what net/http would log about callers that went away: nothing here is for the operator to act on.
var silent = log.New(io.Discard, "", 0)

// guarded is a listener that never holds more connections than it may, nor one for longer. At a limit it makes room for the newest by closing the
// one that has said nothing useful for longest, so that a thousand silent connections do not keep a balancer's probe out; where there is
// none, the long poll that waits longest, whose caller asks again. The newest is refused only where all are being answered.
type guarded struct {
	net.Listener
	limits Limits
	mu     sync.Mutex
	open   map[*conn]bool
	counts map[netip.Prefix]int
	polls  map[netip.Prefix]int // of which are waiting
}

func guard(l net.Listener, limits Limits) *guarded {
	if limits.Connections == 0 {
		limits.Connections = 512
	}
	if limits.PerAddress == 0 {
		limits.PerAddress = 64
	}
	return &guarded{Listener: l, limits: limits, open: map[*conn]bool{}, counts: map[netip.Prefix]int{}, polls: map[netip.Prefix]int{}}
}

// Guard holds a listener for another protocol to the limits, as one of an HTTP is. Its connections have Hold and Release, to be called
// at the begin and the end of each call, Local and Group.
func Guard(l net.Listener, limits Limits) net.Listener { return guard(l, limits) }

// sweep closes what has outlived the limit of its phase.
func (g *guarded) sweep(now time.Time) {
	var late []*conn
	g.mu.Lock()
	for c := range g.open {
		if c.overdue(now) {
			late = append(late, c)
		}
	}
	g.mu.Unlock()
	for _, c := range late {
		_ = c.Close() // it is given up on
	}
}

func (g *guarded) forget(c *conn) {
	if !g.open[c] {
		return
	}
	delete(g.open, c)
	if g.counts[c.group]--; g.counts[c.group] == 0 {
		delete(g.counts, c.group)
	}
}

// Accept waits for the next connection that may come in.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		raw, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: raw, guard: g}
		c.enter(heading)
		if from, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
			c.peer = from.AddrPort().Addr().WithZone("").Unmap()
		}
		c.local = c.peer.IsLoopback()
		c.group = groupOf(c.peer)
		victim, ok := g.admit(c)
		if victim != nil {
			_ = victim.Conn.Close() // its place is taken; how it ends matters to nobody
		}
		if ok {
			return c, nil
		}
		_ = raw.Close()
	}
}

// groupOf is what the limit per address counts: the address, or its /64, of which one host has all.
func groupOf(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil { // no address, as on a unix socket: one group for all
		return netip.Prefix{}
	}
	return p
}

func (g *guarded) admit(c *conn) (victim *conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !c.local && g.counts[c.group] >= g.limits.PerAddress:
		victim = g.idlest(func(o *conn) bool { return o.group == c.group })
	case len(g.open) >= g.limits.Connections:
		victim = g.idlest(func(*conn) bool { return true })
	default:
		ok = true
	}
	if victim != nil {
		g.forget(victim)
		ok = true
	}
	if ok {
		g.open[c] = true
		g.counts[c.group]++
	}
	return victim, ok
}

// idlest prefers any connection that is between two answers to a long poll.
func (g *guarded) idlest(among func(*conn) bool) (victim *conn) {
	var poll *conn
	for o := range g.open {
		switch phase := o.phase.Load(); {
		case phase == answering || !among(o):
		case phase == waiting:
			poll = longer(poll, o)
		default:
			victim = longer(victim, o)
		}
	}
	if victim == nil {
		return poll
	}
	return victim
}

// longer is the one of two that is in its phase for longer; a may be nil.
func longer(a, b *conn) *conn {
	if a == nil || b.since.Load() < a.since.Load() {
		return b
	}
	return a
}

// await lets a connection wait for a change, if no more than half of what its address may hold does: the rest is for those who ask for
// the state as it is, from the same host as like as not. The one that may calls answer at the end of its wait.
func (g *guarded) await(c *conn) (ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !c.local && g.polls[c.group] >= max(1, g.limits.PerAddress/2) {
		return false
	}
	g.polls[c.group]++
	c.enter(waiting)
	return true
}

func (g *guarded) answer(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.polls[c.group]--; g.polls[c.group] == 0 {
		delete(g.polls, c.group)
	}
	c.enter(answering)
}
