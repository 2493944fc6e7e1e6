package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// After a reload the old worker goes on with the connections that it holds, and sends their next requests to servers
// drained since. So `drain --wait` must not return while one of them is left that could still reach the server.
func TestDrainWaitHoldsForOldWorkers(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{global: "    hard-stop-after 10m\n", policy: "{capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		elsewhere := s.hold(s.apps[1])
		on := s.hold(s.apps[0])
		clients := []client{s.connect("silent", ""), s.connect("half a request", "POST / HTTP/1.1\r\nHost: app\r\nContent-")}
		s.reload()

		wait := m.begin("drain", "web/s0", "--wait", "--timeout", "60s")
		for i, c := range clients {
			until(t, "it says how many clients the old worker holds: "+c.what, func() bool { return wait.holds(1 + alive(clients[i:])) })
			if out := wait.out.String(); !strings.Contains(out, "timeout client 1m0s") || !strings.Contains(out, "hard-stop-after 10m0s") {
				t.Errorf("it does not say what bounds the wait: %s", out)
			}
			if c.ended() {
				t.Errorf("the old worker closed the %s connection by itself, so nothing was shown", c.what)
			}
			c.Close()
		}
		until(t, "it says that the old worker holds one client", func() bool { return wait.holds(1) })
		stays(t, "the request on s0 holds it", 500*time.Millisecond, func() bool { return !wait.hasEnded() })
		s.apps[0].release <- struct{}{}
		released := time.Now()
		if status := <-on; status != http.StatusOK {
			t.Errorf("the request that held the drain ended with %d", status)
		}
		until(t, "it returns, although a request is on another server", wait.hasEnded)
		t.Logf("returned %s after the last client had gone", time.Since(released).Round(time.Millisecond))
		if code := wait.cmd.ProcessState.ExitCode(); code != 0 || !strings.Contains(wait.out.String(), "web/s0: drained") {
			t.Errorf("it ended with %d: %s", code, wait.out)
		}
		if s.apps[1].held.Load() != 1 {
			t.Error("the request on the other server should still be there")
		}
		s.apps[1].release <- struct{}{}
		if status := <-elsewhere; status != http.StatusOK {
			t.Errorf("the request on the other server ended with %d", status)
		}
	})
}

// A connection that waits for its next request is held too: its old worker may answer that request from the drained
// server. 2.2 keeps such a connection as long as its client does; from 2.4 on an old worker closes it, at a moment of its
// choice, unless the config has `option idle-close-on-response`, which people set because that close loses requests.
func TestDrainWaitHoldsForAnIdleConnection(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		var keep string
		if prog.Version() != "2.2" {
			keep = "    option idle-close-on-response\n"
		}
		s := newSite(t, prog, siteConfig{defaults: keep, policy: "{capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		idle := s.connect("idle keep-alive", "GET / HTTP/1.1\r\nHost: app\r\n\r\n")
		s.reload()
		wait := m.begin("drain", "web/s0", "--wait", "--timeout", "60s")
		until(t, "it says that the old worker holds one client", func() bool { return wait.holds(1) })
		stays(t, "the idle client holds it", 2*time.Second, func() bool { return !wait.hasEnded() })
		if idle.ended() {
			t.Fatal("the idle connection is gone, so nothing was shown")
		}
		idle.Close()
		until(t, "it returns once the client has gone", wait.hasEnded)
		if code := wait.cmd.ProcessState.ExitCode(); code != 0 || !strings.Contains(wait.out.String(), "web/s0: drained") {
			t.Errorf("it ended with %d: %s", code, wait.out)
		}
	})
}

// One HTTP/2 connection has many requests: those on other servers explain that connection and no other.
func TestDrainWaitCountsConnectionsAndNotRequests(t *testing.T) {
	eachOrOne(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{policy: "{capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		h2 := &http.Transport{Protocols: new(http.Protocols)}
		h2.Protocols.SetUnencryptedHTTP2(true)
		t.Cleanup(h2.CloseIdleConnections)
		get := func(path string) (string, int, error) {
			return post(&http.Client{Transport: h2}, "http://"+s.net+"100:8002"+path)
		}
		s.holdBy(s.apps[1], get)
		s.holdBy(s.apps[1], get)
		silent := s.connect("silent", "")
		s.reload()
		wait := m.begin("drain", "web/s0", "--wait", "--timeout", "30s")
		until(t, "it says that the old worker holds one client", func() bool { return wait.holds(1) })
		stays(t, "the silent client holds it", 500*time.Millisecond, func() bool { return !wait.hasEnded() })
		if silent.ended() {
			t.Fatal("the silent connection is gone, so nothing was shown")
		}
		silent.Close()
		until(t, "it returns, although requests are on another server", wait.hasEnded)
		if s.apps[1].held.Load() != 2 {
			t.Error("the requests on the other server should still be there")
		}
	})
}

// Without a master socket old workers are looked for on the host; what cannot be seen is unknown and never drained.
func TestDrainWaitWithoutAMasterSocket(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		s := newSite(t, prog, siteConfig{blind: true, policy: "{capacity: {min_percent: 1, min_servers: 1}}"})
		m := s.control()
		silent := s.connect("silent", "")
		s.reload()
		wait := m.begin("drain", "web/s0", "--wait", "--timeout", "30s")
		until(t, "it says what holds it", func() bool {
			return strings.Contains(wait.out.String(), "old worker") || strings.Contains(wait.out.String(), "unknown")
		})
		stays(t, "the silent client holds it", 700*time.Millisecond, func() bool { return !wait.hasEnded() })
		if silent.ended() {
			t.Fatal("the silent connection is gone, so nothing was shown")
		}
		silent.Close()
		if strings.Contains(wait.out.String(), "unknown") {
			t.Logf("it cannot tell: %s", wait.out)
			return
		}
		until(t, "it returns once the old worker has gone", wait.hasEnded)
		if code := wait.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("it ended with %d: %s", code, wait.out)
		}
	})
}

// client is a connection of a user.
type client struct {
	net.Conn
	what string
}

// connect opens a connection and sends the beginning of a request, or a whole one whose answer is read.
func (s *site) connect(what, send string) client {
	s.t.Helper()
	c, err := net.Dial("tcp", s.front)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, send); err != nil {
		s.t.Fatal(err)
	}
	if strings.HasSuffix(send, "\r\n\r\n") {
		buf := make([]byte, 4096)
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			s.t.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200") {
			s.t.Fatalf("%s: %v: %q", what, err, buf[:n])
		}
	}
	return client{c, what}
}

// alive counts the connections that HAProxy has not closed.
func alive(clients []client) (n int) {
	for _, c := range clients {
		if !c.ended() {
			n++
		}
	}
	return n
}

// ended reports whether HAProxy has closed the connection.
func (c client) ended() bool {
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		return true
	}
	_, err := c.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return !ok || !timeout.Timeout()
}

// running is a command that has not ended yet.
type running struct {
	cmd  *exec.Cmd
	out  *logged
	done chan struct{}
}

// begin runs a command of lbmedic and does not wait for it.
func (m *medic) begin(args ...string) *running {
	m.t.Helper()
	r := &running{cmd: exec.Command(lbmedic.program(m.t), append(args, "--config", m.config)...), out: &logged{}, done: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.Env = r.out, r.out, environment()
	if err := r.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // its status is read from ProcessState
		close(r.done)
	}()
	m.t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it may have ended
		<-r.done
		if m.t.Failed() {
			m.t.Logf("%v said:\n%s", args, r.out)
		}
	})
	return r
}

func (r *running) hasEnded() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// holds reports whether the last that it said is that an old worker holds so many clients.
func (r *running) holds(n int) bool {
	lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
	return strings.Contains(lines[len(lines)-1], fmt.Sprintf("may use it: %d", n)) && !r.hasEnded()
}
