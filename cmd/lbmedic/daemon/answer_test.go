package daemon

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// What was answered and probed is counted, and told to whoever may see details.
func TestMetricsCountProbesAndAnswers(t *testing.T) {
	h := newHouse(t)
	s := settings{http: peertest.Port(t), agent: peertest.Port(t)}
	h.run(s)
	var body string
	waitFor(t, "both are counted", func() bool {
		if err := askAgent(s.agent); err != nil {
			return false
		}
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", s.http))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		body = string(text)
		counted := func(line string) bool {
			_, value, found := strings.Cut(body, line+" ")
			return found && !strings.HasPrefix(value, "0\n")
		}
		return err == nil && counted(`lbmedic_agent_responses_total{word="up"}`) && counted(`lbmedic_check_runs_total{check="port",service="web"}`)
	})
}
