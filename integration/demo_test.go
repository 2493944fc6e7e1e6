package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// pairs are the balancers that the demo is given with: the installed ones, or with LBMEDIC_MATRIX=full every version.
func pairs(t *testing.T) map[string][2]peer.Program {
	t.Helper()
	all := map[string][2]peer.Program{"installed": {peertest.One(t, "haproxy"), peertest.One(t, "nginx")}}
	if os.Getenv("LBMEDIC_MATRIX") != "full" {
		return all
	}
	haproxies, nginxes := peer.Cached("haproxy"), peer.Cached("nginx")
	if len(haproxies) < 4 || len(nginxes) < 4 {
		t.Fatalf("found %d versions of haproxy and %d of nginx, 4 of each are needed; run integration/peers.sh test", len(haproxies), len(nginxes))
	}
	for i, h := range haproxies {
		all[h.Name+" and "+nginxes[i].Name] = [2]peer.Program{h, nginxes[i]}
	}
	return all
}

func TestTheDemoKeepsItsPromises(t *testing.T) {
	balancers := pairs(t)
	program := lbmedic.program(t)
	for name, pair := range balancers {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			cmd := exec.CommandContext(ctx, program, "demo", "--once", "-o", "json", "--haproxy", pair[0].Path, "--nginx", pair[1].Path)
			var summary, timeline bytes.Buffer
			cmd.Stdout, cmd.Stderr = &summary, &timeline
			begun := time.Now()
			err := cmd.Run()
			took := time.Since(begun)
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, timeline.String(), summary.String())
			}
			if took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
			t.Logf("in %s:\n%s", took, timeline.String())
			checkSummary(t, summary.Bytes())
			peertest.NothingLeft(t, program, timeline.String())
		})
	}
}

// checkSummary reads the summary as a machine does.
func checkSummary(t *testing.T, text []byte) {
	t.Helper()
	var r struct {
		Kept     bool `json:"kept"`
		Promises []struct {
			Name string `json:"name"`
			Kept bool   `json:"kept"`
		} `json:"promises"`
		Figures struct {
			Remove float64 `json:"remove_ms"`
			Limit  float64 `json:"remove_limit_ms"`
		} `json:"figures"`
		Phases []struct {
			Phase                  string `json:"phase"`
			Sent, OK, Errors, Lost int
		} `json:"phases"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("the summary is no JSON: %v\n%s", err, text)
	}
	if !r.Kept || len(r.Promises) < 10 {
		t.Errorf("kept %v, %d promises", r.Kept, len(r.Promises))
	}
	for _, p := range r.Promises {
		if !p.Kept {
			t.Errorf("%q was not kept", p.Name)
		}
	}
	if r.Figures.Limit != 250 || r.Figures.Remove <= 0 || r.Figures.Remove > r.Figures.Limit {
		t.Errorf("figures %+v", r.Figures)
	}
	for _, p := range r.Phases {
		switch {
		case p.Sent == 0 || p.Sent != p.OK+p.Errors+p.Lost:
			t.Errorf("%+v", p)
		case p.Phase == "broken" && p.Errors == 0:
			t.Errorf("users met no error during the break: %+v", p)
		case p.Phase != "broken" && p.OK != p.Sent:
			t.Errorf("users met errors: %+v", p)
		}
	}
}

// An interrupt in the middle of the break, when the most is under way.
func TestAnInterruptedDemoLeavesNothing(t *testing.T) {
	peertest.One(t, "haproxy")
	program := lbmedic.program(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, program, "demo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var timeline strings.Builder
	lines := bufio.NewReader(out)
	for !strings.Contains(timeline.String(), "the dependency of app1 fails") {
		line, err := lines.ReadString('\n')
		timeline.WriteString(line)
		if err != nil {
			t.Fatalf("it ended before the break: %v\n%s", err, timeline.String())
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGINT) {
		t.Errorf("%v", err)
	}
	if bytes.Contains(rest, []byte("kept")) {
		t.Errorf("a verdict on half a story:\n%s", rest)
	}
	peertest.NothingLeft(t, program, timeline.String())
}

func TestADemoWithoutHAProxyNamesThePackage(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), lbmedic.program(t), "demo", "--once", "--haproxy", "/nonexistent/haproxy")
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v", err)
	}
	if text := string(said); strings.Count(text, "\n") != 1 || !strings.Contains(text, "apt-get install haproxy") {
		t.Errorf("it says %q", text)
	}
}
