package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	sidecars "github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// cache is a dependency that three instances share. Each says who it is; the cache can be ended, and be deaf to one of them.
type cache struct {
	t       *testing.T
	address string

	mu   sync.Mutex
	l    net.Listener
	deaf string
}

func newCache(t *testing.T, address string) *cache {
	t.Helper()
	c := &cache{t: t, address: address}
	c.start()
	t.Cleanup(c.stop)
	return c
}

func (c *cache) start() {
	c.t.Helper()
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.l = l
	c.mu.Unlock()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.answer(conn)
		}
	}()
}

func (c *cache) answer(conn net.Conn) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return
	}
	who, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	c.mu.Lock()
	deaf := c.deaf
	c.mu.Unlock()
	if strings.TrimSpace(who) != deaf {
		_, _ = io.WriteString(conn, "+READY\r\n") // a caller that has gone misses nothing
	}
}

func (c *cache) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.l.Close() // it may have been before
}

func (c *cache) deafTo(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = who
}

// trio are three instances of one service, each with a sidecar that has the others, and itself, on its list of siblings.
type trio struct {
	t        *testing.T
	net      string
	cache    *cache
	sidecars []*medic
	client   *sidecars.Client
}

const trioInterval = 600 * time.Millisecond

func newTrio(t *testing.T) *trio {
	t.Helper()
	dir := peertest.Dir(t)
	s := &trio{t: t, net: network(), client: sidecars.New(sidecars.Settings{})}
	t.Cleanup(s.client.Close)
	s.cache = newCache(t, s.net+"9:6379")
	var urls []string
	for i := range 3 {
		urls = append(urls, s.url(i))
	}
	for i := range 3 {
		s.sidecars = append(s.sidecars, newMedic(t, dir, fmt.Sprintf("side%d", i), fmt.Sprintf(`health:
  http: %s%d:7780
  agent: off
  on_term: leave
  services:
    web:
      siblings: ["%s"]
      checks:
        cache: {tcp: "%s", send: 'i am s%d\n', expect: READY, shared: true, interval: %s, timeout: 300ms}
`, s.net, i+1, strings.Join(urls, `", "`), s.cache.address, i, trioInterval)).start())
	}
	until(t, "all pass", func() bool { return s.all(healthd.Pass) })
	return s
}

func (s *trio) url(i int) string { return fmt.Sprintf("http://%s%d:7780/health/web", s.net, i+1) }

// status is what an instance says of itself to a balancer.
func (s *trio) status(i int) healthd.Status {
	a, err := s.client.Ask(s.t.Context(), s.url(i), "", 0)
	if err != nil {
		return healthd.Unknown
	}
	return a.Status
}

func (s *trio) all(status healthd.Status) bool {
	return s.status(0) == status && s.status(1) == status && s.status(2) == status
}

func (s *trio) fails() (failing []int) {
	for i := range 3 {
		if s.status(i) == healthd.Fail {
			failing = append(failing, i)
		}
	}
	return failing
}

// suspects reports whether an instance tells everybody that it suspects the dependency.
func (s *trio) suspects(i int) bool {
	res, err := http.Get(s.url(i))
	if err != nil {
		return false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return err == nil && res.StatusCode == http.StatusOK && strings.Contains(string(body), "shared dependency failing: cache")
}

// A dependency that fails everywhere takes nobody out, and all say so; one that fails for one host takes out exactly that one; and when it
// then fails everywhere that one is back.
func TestASharedDependencyTakesOutOnlyTheHostThatCannotReachIt(t *testing.T) {
	t.Parallel()
	s := newTrio(t)

	s.cache.stop()
	until(t, "all suspect the dependency", func() bool { return s.suspects(0) && s.suspects(1) && s.suspects(2) })
	stays(t, "nobody leaves", 10*trioInterval, func() bool { return len(s.fails()) == 0 })
	for _, m := range s.sidecars {
		if !strings.Contains(m.log.String(), "SUSPECT") {
			t.Errorf("%s says nothing loudly", m.name)
		}
	}
	s.cache.start()
	until(t, "all pass again", func() bool { return s.all(healthd.Pass) })
	if failing := s.fails(); len(failing) > 0 {
		t.Errorf("whoever saw its end last left: %v", failing)
	}

	s.cache.deafTo("i am s1")
	begun := time.Now()
	until(t, "s1 fails", func() bool { return s.status(1) == healthd.Fail })
	took := time.Since(begun)
	t.Logf("it failed after %s, with an interval of %s and fall 3", took.Round(10*time.Millisecond), trioInterval)
	if took < 2*trioInterval { // fall is 3
		t.Errorf("it failed after %s, which is too soon", took)
	}
	stays(t, "it is alone", 5*trioInterval, func() bool { f := s.fails(); return len(f) == 1 && f[0] == 1 })

	s.cache.stop()
	until(t, "s1 is no worse than the others", func() bool { return len(s.fails()) == 0 && s.suspects(1) })
	stays(t, "nobody leaves", 5*trioInterval, func() bool { return len(s.fails()) == 0 })

	s.cache.deafTo("")
	s.cache.start()
	until(t, "all pass at the end", func() bool { return s.all(healthd.Pass) })
}

// Siblings that are gone are silence, and silence takes nobody out.
func TestSilentSiblingsTakeNobodyOut(t *testing.T) {
	t.Parallel()
	s := newTrio(t)
	s.sidecars[0].end(kill)
	s.sidecars[2].end(kill)
	s.cache.deafTo("i am s1")
	until(t, "s1 suspects the dependency", func() bool { return s.suspects(1) })
	stays(t, "it stays", 10*trioInterval, func() bool { return s.status(1) != healthd.Fail })
}
