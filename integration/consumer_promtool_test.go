package integration

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// What Prometheus' own linter says of /metrics, in every state: nothing.
func TestPromtoolFindsNothingWrongWithMetrics(t *testing.T) {
	t.Parallel()
	p := newPatient(t, "")
	for _, s := range []state{passing, warning, failing, drained, passing} {
		p.be(s)
		page := p.get("/metrics")
		if page.code != 200 || !strings.HasPrefix(page.header.Get("Content-Type"), "text/plain") {
			t.Fatalf("%s: %d %v", s, page.code, page.header)
		}
		cmd := exec.CommandContext(t.Context(), peertest.Tool(t, "promtool"), "check", "metrics")
		cmd.Stdin = strings.NewReader(page.body + "\n")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: promtool: %v\n%s", s, err, out)
		}
		for _, line := range []string{`service="web"`, `check="app"`} {
			if !strings.Contains(page.body, line) {
				t.Errorf("%s: no %s in\n%s", s, line, page.body)
			}
		}
	}
}
