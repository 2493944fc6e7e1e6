package serve

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// dialled is a guarded listener's end of a connection, and the caller's.
func dialled(t *testing.T, g *guarded) (*conn, net.Conn) {
	t.Helper()
	out, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in, err := g.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = out.Close(), in.Close() })
	return in.(*conn), out
}

func guardedPort(t *testing.T, limits Limits) *guarded {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return guard(l, limits)
}

func TestSweepHoldsEachPhaseToItsLimit(t *testing.T) {
	for name, c := range map[string]struct {
		phase int32
		limit time.Duration
	}{
		"a head that drips":      {heading, headTimeout},
		"between requests":       {idling, idleTimeout},
		"an answer nobody reads": {answering, sendTimeout},
		"a long poll":            {waiting, sendTimeout + MaxWait},
	} {
		t.Run(name, func(t *testing.T) {
			g := guardedPort(t, Limits{})
			in, _ := dialled(t, g)
			in.enter(c.phase)
			began := time.Unix(0, in.since.Load())
			g.sweep(began.Add(c.limit))
			if len(g.open) != 1 {
				t.Error("closed at its limit")
			}
			g.sweep(began.Add(c.limit + 1))
			if _, err := in.Read(make([]byte, 1)); len(g.open) != 0 || err == nil {
				t.Errorf("still open beyond its limit: %v", err)
			}
		})
	}
}

// A head of which a part came together with the request before it stands no longer than any other, however it came.
func TestPartOfThePipelinedHeadIsAHead(t *testing.T) {
	const whole = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, c := range map[string]struct {
		sent  []string
		phase int32
	}{
		"a request":                {[]string{whole}, idling},
		"two":                      {[]string{whole + whole}, idling},
		"in two pieces":            {[]string{whole[:len(whole)-1], whole[len(whole)-1:]}, idling},
		"byte for byte at the end": {[]string{whole[:len(whole)-3], "\n", "\r", "\n"}, idling},
		"with bare line ends":      {[]string{"GET /livez HTTP/1.1\nHost: x\n\n"}, idling},
		"and half of the next":     {[]string{whole + "GET /"}, heading},
		"and a byte of the next":   {[]string{whole, "G"}, heading},
		"and all but its end":      {[]string{whole + whole[:len(whole)-2]}, heading},
	} {
		g := guardedPort(t, Limits{})
		in, out := dialled(t, g)
		for _, piece := range c.sent {
			in.enter(answering)
			if _, err := io.WriteString(out, piece); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(in, make([]byte, len(piece))); err != nil {
				t.Fatal(err)
			}
		}
		in.rest()
		if got := in.phase.Load(); got != c.phase {
			t.Errorf("%s: phase %d, want %d", name, got, c.phase)
		}
	}
}

func TestPhasesFollowTheRequest(t *testing.T) {
	b := board(t)
	report(b, "web/app", healthd.OK, 1)
	g := guardedPort(t, Limits{})
	h := NewHTTP(HTTPSettings{Source: b})
	until(t, func(ctx context.Context) error { return h.run(ctx, g) })
	out, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in := func() (c *conn) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for c = range g.open {
		}
		return c
	}
	phase := func(want int32) func() bool {
		return func() bool { c := in(); return c != nil && c.phase.Load() == want }
	}
	waitFor(t, phase(heading))
	for _, path := range []string{"/health/web", "/livez"} {
		if _, err := io.WriteString(out, "GET "+path+" HTTP/1.1\r\nHost: x\r\n"); err != nil {
			t.Fatal(err)
		}
		waitFor(t, phase(heading))
		if _, err := io.WriteString(out, "\r\n"); err != nil {
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(bufio.NewReader(out), nil); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		waitFor(t, phase(idling))
	}
	if _, err := io.WriteString(out, "GET /health/web?wait=40s&after="+b.Latest().Tag()+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, phase(waiting))
	report(b, "web/app", healthd.Refused, 3)
	waitFor(t, phase(idling))
}

// A controller that follows every service by long polls leaves room for the checks of the balancer beside it.
func TestLongPollsKeepNobodyOut(t *testing.T) {
	const places, checks = 8, 3
	for name, c := range map[string]struct {
		host   string
		limits Limits
		wait   int64 // how many do
		keep   int64 // how many still do after the checks, whose places come free at their own time
	}{
		"from one address": {foreign(t), Limits{PerAddress: places}, places / 2, places / 2},
		"from loopback":    {"127.0.0.1", Limits{Connections: places}, places, places - checks},
	} {
		t.Run(name, func(t *testing.T) {
			b := board(t)
			report(b, "web/app", healthd.OK, 1)
			h := NewHTTP(HTTPSettings{Source: b, Limits: c.limits})
			address := serving(t, c.host+":0", h)
			for range places {
				poll, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer poll.Close()
				if _, err := io.WriteString(poll, "GET /health/web?wait=60s&after="+b.Latest().Tag()+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
			}
			waitFor(t, func() bool { return h.waiting.Load() == c.wait })
			client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			for range checks {
				resp, err := client.Get("http://" + address + "/health/web")
				if err != nil {
					t.Fatal(err)
				}
				if err := resp.Body.Close(); err != nil || resp.StatusCode != 200 {
					t.Errorf("%d, %v", resp.StatusCode, err)
				}
			}
			if n := h.waiting.Load(); n < c.keep {
				t.Errorf("%d of %d long polls still wait", n, c.wait)
			}
		})
	}
}
