package runtime

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// farm is a real HAProxy with real servers behind it.
type farm struct {
	*peer.HAProxy
	client *Client
	master *Master
	front  string       // address of the frontend
	answer atomic.Int64 // status code of the servers' health checks
}

func newFarm(t *testing.T, prog peer.Program) *farm {
	t.Helper()
	f := &farm{}
	f.answer.Store(http.StatusOK)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			w.WriteHeader(int(f.answer.Load()))
			return
		}
		if r.URL.Path == "/hold" { // until the client leaves
			<-r.Context().Done()
		}
		io.WriteString(w, "hello\n")
	}))
	t.Cleanup(app.Close)
	dir := peertest.Dir(t)
	f.front = fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
	f.HAProxy = peertest.HAProxy(t, prog, dir, farmConfig(dir, f.front, app.Listener.Addr().String()))
	f.client = New(Settings{Address: f.Socket})
	f.master = NewMaster(Settings{Address: f.Master})
	eventually(t, "the master socket", func() bool {
		all, err := f.master.Processes(t.Context())
		return err == nil && len(all.Workers) == 1
	})
	eventually(t, "every check to have settled", func() bool {
		settled := 0
		_, err := f.client.Stat(t.Context(), func(r *StatRow) error {
			if r.Type == Server && (r.CheckStatus == "L7OK" && r.Status.Raw == "UP" || r.CheckStatus == "L4CON" && r.Status.Raw == "DOWN") && !r.CheckRunning {
				settled++
			}
			return nil
		})
		return err == nil && settled == 5 // all that have a check and are not in maintenance
	})
	return f
}

func farmConfig(dir, front, app string) string {
	return peer.HAProxyGlobal(dir) + `    stats socket ` + filepath.Join(dir, "operator.sock") + ` mode 600 level operator
    stats socket ` + filepath.Join(dir, "user.sock") + ` mode 600 level user
    stats timeout 20s
defaults
    mode http
    timeout connect 1s
    timeout client 20s
    timeout server 20s
    timeout check 5s
frontend front
    bind ` + front + `
    default_backend web
backend web
    balance roundrobin
    cookie SRV insert indirect
    option httpchk GET /healthz
    http-check disable-on-404
    default-server inter 50ms rise 2 fall 2
    server app1 ` + app + ` check cookie a1 weight 10
    server app2 ` + app + ` check cookie a2 weight 10
    server app3 ` + app + ` weight 100
    server spare ` + app + ` check backup
backend follow
    option httpchk GET /healthz
    http-check disable-on-404
    server t1 ` + app + ` track web/app1
    server off ` + app + ` check inter 50ms disabled
    server agent ` + app + ` check inter 50ms agent-check agent-port 1 agent-inter 50ms
backend down
    server gone 127.0.0.1:1 check inter 50ms fall 1
`
}

// server is one server's row of `show servers state`.
func (f *farm) server(t testing.TB, backend, server string) ServerState {
	t.Helper()
	var found ServerState
	if _, err := f.client.ServersState(t.Context(), backend, func(s *ServerState) error {
		if s.Server == server {
			found = *s
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found.Server == "" {
		t.Fatalf("%s/%s has no row", backend, server)
	}
	return found
}

// row is one row of `show stat`.
func (f *farm) row(t testing.TB, proxy, server string) StatRow {
	t.Helper()
	var found StatRow
	if _, err := f.client.Stat(t.Context(), func(r *StatRow) error {
		if r.Proxy == proxy && r.Server == server {
			found = *r
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found.Proxy == "" {
		t.Fatalf("%s/%s has no row", proxy, server)
	}
	return found
}

func (f *farm) apply(t *testing.T, commands ...Command) {
	t.Helper()
	report, err := f.client.Apply(t.Context(), Generation{}, commands...)
	if err != nil || !report.All(Done) {
		t.Fatalf("%v: %+v", err, report.Results)
	}
}

// ask sends raw lines and gives back all bytes until the end.
func (f *farm) ask(t testing.TB, socket, lines string) string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, lines); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}

// eventually waits up to ten seconds for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited 10 s for %s", what)
		}
	}
}

// each runs a test on a farm of every version.
func each(t *testing.T, test func(t *testing.T, f *farm)) {
	t.Helper()
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		test(t, newFarm(t, prog))
	})
}

// states is the whole state of all servers but the fields that change by themselves.
func (f *farm) states(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	if _, err := f.client.ServersState(t.Context(), "", func(s *ServerState) error {
		s.SinceChange, s.CheckStatus, s.CheckResult, s.CheckHealth = 0, 0, 0, 0 // the checks go on
		s.Check &^= CheckRunning
		s.Agent &^= CheckRunning
		fmt.Fprintf(&b, "%+v\n", *s)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
