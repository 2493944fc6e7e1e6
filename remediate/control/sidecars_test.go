package control

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/remediate"
)

// The death of a sidecar is told once, and its return; a restart, which takes less than three seconds, is neither.
func TestASidecarThatDiesIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		s := NewSidecars(client.New(client.Settings{}))
		defer s.Close()
		s.Saw = func(all ...Sighting) {
			for _, saw := range all {
				told = append(told, saw.Balancer+" "+saw.What+" "+saw.Detail)
			}
		}
		sc := &sidecar{wake: map[string]func(){"edge": func() {}, "back": func() {}}}
		const url = "http://10.0.0.5:7780/health/web"
		answers := func() { s.hear(url, sc, client.Answer{Status: healthd.Pass}, nil) }
		silent := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
				s.hear(url, sc, client.Answer{}, errors.New("connection refused"))
			}
		}
		silent(10 * time.Second) // one that never answered is not there
		answers()
		silent(2 * time.Second) // a restart
		answers()
		if len(told) > 0 {
			t.Fatalf("told: %q", told)
		}
		silent(60 * time.Second)
		answers()
		answers()
		want := []string{"back sidecar-silent its servers are left as they are: connection refused", "edge sidecar-silent its servers are left as they are: connection refused",
			"back sidecar-back it was silent for 1m0s", "edge sidecar-back it was silent for 1m0s"}
		if !slices.Equal(told, want) {
			t.Errorf("told:\n%s\nwant:\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
	})
}

// A step that is held back and then not, again and again, is news once; after five quiet minutes it is news again.
func TestWhatIsHeldBackAgainAndAgainIsToldOnce(t *testing.T) {
	book := openBook(t, t.TempDir())
	c := New(Settings{Name: "edge", Policy: func(time.Time) remediate.Policy { return remediate.DefaultPolicy() }}, nil, book, nil, zap.NewNop())
	hold := remediate.Plan{Hold: []remediate.Hold{{Target: remediate.Target{Balancer: "edge", Backend: "web", Server: "s0"}, Want: remediate.ForceDown, Reason: remediate.HoldEvidenceStale}}}
	now := time.Now()
	for i := range 100 {
		c.tell([]remediate.Plan{hold}, now.Add(time.Duration(2*i)*time.Second))
		c.tell([]remediate.Plan{{}}, now.Add(time.Duration(2*i+1)*time.Second))
	}
	if n := heldTold(t, book); n != 1 {
		t.Errorf("told %d times", n)
	}
	c.tell([]remediate.Plan{hold}, now.Add(200*time.Second+heldAgain))
	if n := heldTold(t, book); n != 2 {
		t.Errorf("after five minutes told %d times", n)
	}
}

func heldTold(t *testing.T, book *Book) (n int) {
	t.Helper()
	records, err := book.Read(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Kind == remediate.KindSaw && strings.Contains(string(r.Body), `"what":"held"`) {
			n++
		}
	}
	return n
}
