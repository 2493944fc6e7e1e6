package check

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	boards "github.com/lbmedic/lbmedic/healthd/probe"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// Two real sidecars whose services rest on each other: both see the loop, neither accuses the other, and each says how far it asked.
func TestTwoSidecarsThatAskEachOtherSeeTheLoop(t *testing.T) {
	var held [2]*boards.Board
	var urls [2]string
	for i := range held {
		b, err := boards.NewBoard(boards.Settings{Services: []boards.Service{{Name: "web", Checks: []boards.Check{{Name: "other", Kind: "lbmedic", Impact: healthd.Degrade}, {Name: "app", Kind: "http"}}}}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 2)
		go func() { ended <- serve.NewHTTP(serve.HTTPSettings{Source: b}).Run(ctx, l) }()
		go func() { ended <- b.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := errors.Join(<-ended, <-ended); err != nil {
				t.Error(err)
			}
		})
		b.Report("web", "app", healthd.NewOutcome(time.Now(), 0, healthd.OK, "status 200"))
		held[i], urls[i] = b, "http://"+l.Addr().String()+"/health/web"
	}
	var last [2]healthd.Outcome
	sees := func(o healthd.Outcome) bool {
		return strings.HasPrefix(o.Detail, "lbmedic-loop") && o.Class == healthd.OwnFault
	}
	tick := time.NewTicker(50 * time.Millisecond) // details are published once a second
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !(sees(last[0]) && sees(last[1])) && time.Now().Before(deadline); <-tick.C {
		for i, b := range held {
			last[i] = probe(t, "lbmedic", urls[1-i], nil, 5*time.Second)
			b.Report("web", "other", last[i])
			if last[i].Class.Status() == healthd.Fail {
				t.Fatalf("%d accuses the other: %q", i, last[i].Detail)
			}
		}
	}
	for i, o := range last {
		if !sees(o) {
			t.Errorf("%d: %s: %q", i, o.Class, o.Detail)
		}
		resp, err := http.Get(urls[i])
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // its header is read
		if got := resp.Header.Get(hopsHeader); got == "" {
			t.Errorf("%d says %s: %q", i, hopsHeader, got)
		}
	}
}
