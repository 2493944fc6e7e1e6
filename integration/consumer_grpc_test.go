package integration

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// withGRPC opens the gRPC port of a patient.
const withGRPC = "  grpc: GRPC\n"

// Exit codes of grpc_health_probe, by its README.
const (
	probeServes   = 0
	probeRefused  = 2 // no connection
	probeFailed   = 3 // the call failed; NOT_FOUND too
	probeNotReady = 4 // an answer that is not SERVING
)

// grpcProbe runs the real grpc_health_probe.
func grpcProbe(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), peertest.Tool(t, "grpc_health_probe"), args...).CombinedOutput()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	if status != nil {
		code = status.ExitCode()
	}
	return code, string(out)
}

// The codes are what a Kubernetes exec probe, and anybody's script, acts on.
func TestGRPCHealthProbeExitsAsTheServiceIs(t *testing.T) {
	t.Parallel()
	p := newPatient(t, withGRPC)
	ask := func(want int, args ...string) {
		t.Helper()
		code, said := grpcProbe(t, append([]string{"-addr=" + p.grpc, "-connect-timeout=5s", "-rpc-timeout=5s"}, args...)...)
		if code != want {
			t.Errorf("grpc_health_probe %v exits with %d, not %d: %s", args, code, want, said)
		}
	}
	for _, c := range []struct {
		state state
		code  int
	}{{passing, probeServes}, {warning, probeServes}, {failing, probeNotReady}, {drained, probeNotReady}, {passing, probeServes}} {
		p.be(c.state)
		until(t, fmt.Sprintf("the probe exits with %d for %s", c.code, c.state), func() bool {
			code, _ := grpcProbe(t, "-addr="+p.grpc, "-service=web", "-rpc-timeout=5s")
			return code == c.code
		})
		ask(c.code)
		ask(probeFailed, "-service=nobody")
	}
	ask(probeServes, "-service=web", "-user-agent=kubelet")
	p.end(syscall.SIGTERM)
	ask(probeRefused, "-service=web")
}

// Consul's gRPC check takes the address alone for the whole instance, and ADDRESS/SERVICE for one service.
func TestConsulGRPCCheckFollowsEveryState(t *testing.T) {
	t.Parallel()
	p, a := newPatient(t, withGRPC), newAgent(t)
	a.register(
		map[string]any{"CheckID": "instance", "GRPC": p.grpc},
		map[string]any{"CheckID": "service", "GRPC": p.grpc + "/web"},
		map[string]any{"CheckID": "nobody", "GRPC": p.grpc + "/nobody"},
	)
	for _, c := range []struct {
		state state
		want  string
	}{{passing, "passing"}, {warning, "passing"}, {failing, "critical"}, {drained, "critical"}, {passing, "passing"}} {
		p.be(c.state)
		a.becomes(map[string]string{"instance": c.want, "service": c.want, "nobody": "critical"})
	}
}

// HAProxy has no gRPC check of its own. Its http-check cannot send the zero bytes that a message begins with (2.2 to 3.2 cut body-lf
// there), so the frames of HTTP/2 are sent as they are; the answer's message is field 1 = 1, SERVING. Any other answer is a failure
// once `timeout check` is over.
func TestHAProxyChecksOverGRPC(t *testing.T) {
	t.Parallel()
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		p := newPatient(t, withGRPC)
		_, port, _ := net.SplitHostPort(p.grpc)
		check := func(service string) string {
			return "option tcp-check\ntcp-check connect port " + port + "\ntcp-check send-binary " + hex.EncodeToString(grpcCheck(service)) + "\ntcp-check expect binary 00000000020801"
		}
		c := newConsumer(t, prog, p, asks{
			"instance": {check(""), "check"},
			"service":  {check("web"), "check"},
			"nobody":   {check("nobody"), "check"},
		})
		for _, s := range []struct {
			state state
			want  string
		}{{passing, "UP"}, {warning, "UP"}, {failing, "DOWN"}, {drained, "DOWN"}, {passing, "UP"}} {
			p.be(s.state)
			c.becomes(string(s.state), map[string]string{"instance": s.want, "service": s.want, "nobody": "DOWN"})
		}
	})
}

// grpcCheck is all that a client sends for one call of Check: the preface of HTTP/2, its settings, the header with what RFC 7541 has a
// number for, and the message.
func grpcCheck(service string) []byte {
	frame := func(kind, flags, stream byte, payload []byte) []byte {
		return append([]byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, stream}, payload...)
	}
	text := func(s string) string { return string(rune(len(s))) + s }
	header := "\x83\x86" + // POST, http
		"\x04" + text("/grpc.health.v1.Health/Check") +
		"\x01" + text("lbmedic") +
		"\x0f\x10" + text("application/grpc") +
		"\x00" + text("te") + text("trailers")
	message := ""
	if service != "" {
		message = "\x0a" + text(service)
	}
	return slices.Concat([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, nil), frame(1, 4, 1, []byte(header)),
		frame(0, 1, 1, []byte("\x00\x00\x00\x00"+text(message))))
}
