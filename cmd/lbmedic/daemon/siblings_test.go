package daemon

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// instance is a board with one check on a dependency that it shares, served over HTTP.
type instance struct {
	board  *probe.Board
	server *httptest.Server
}

func newInstance(t *testing.T) instance {
	t.Helper()
	b, err := probe.NewBoard(probe.Settings{Services: shared})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(serve.NewHTTP(serve.HTTPSettings{Source: b}))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		server.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return instance{b, server}
}

var shared = []probe.Service{{Name: "web", Checks: []probe.Check{
	{Name: "db", Kind: "tcp", Target: "db:5432", Shared: true, Interval: 600 * time.Millisecond}}}}

func (i instance) report(class healthd.Class) {
	i.board.Report("web", "db", healthd.NewOutcome(time.Now(), 0, class, ""))
}

// One list serves all hosts: whoever finds himself on it is no witness of his own, and a host on it for two services is asked once.
func TestSiblingsAreAskedOnceAHostAndNobodyAsksHimself(t *testing.T) {
	own, a, b := newInstance(t), newInstance(t), newInstance(t)
	core, logs := observer.New(zap.InfoLevel)
	urls := []string{own.server.URL + "/health/web", a.server.URL + "/health/web", b.server.URL + "/health/web", b.server.URL + "/health", "http://127.0.0.1:1/health/web"}
	h := &config.Health{Services: []config.Service{{Name: "web", Siblings: urls}, {Name: "shop", Siblings: urls[1:2]}}}
	c := client.New(client.Settings{})
	defer c.Close()
	s := newSiblings(h, shared, own.board, c, zap.New(core))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()

	var failing atomic.Bool
	failing.Store(true)
	go func() { // their checks
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			a.report(healthd.OK)
			b.report(healthd.OK)
			if failing.Load() {
				own.report(healthd.Refused)
			} else {
				own.report(healthd.OK)
			}
		}
	}()
	// Of three that are no longer four, two pass.
	waitFor(t, "it is this host", func() bool { svc, _ := own.board.Latest().Service("web"); return svc.Status == healthd.Fail })
	failing.Store(false)
	waitFor(t, "it passes again", func() bool { svc, _ := own.board.Latest().Service("web"); return svc.Status == healthd.Pass })
	cancel()
	<-ended
	if got := len(s.others); got != 3 {
		t.Errorf("it has %d siblings: %v", got, s.others)
	}
	if told := logs.FilterMessageSnippet("says nothing").Len(); told != 1 {
		t.Errorf("the silent one is told %d times", told)
	}
	for _, entry := range logs.FilterMessageSnippet("says nothing").All() {
		if got := entry.ContextMap()["sibling"]; !strings.Contains(got.(string), "127.0.0.1:1") {
			t.Errorf("%v is called silent", got)
		}
	}
}
