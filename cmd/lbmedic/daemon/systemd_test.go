package daemon

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// manager is systemd as a service sees it: a socket to which it tells its state.
type manager struct {
	t     *testing.T
	conn  *net.UnixConn
	heard []string
	fds   []int
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t: t, conn: conn}
}

// hear returns once a message has come that holds the text, with all that came before it.
func (m *manager) hear(text string) string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	for {
		buf, oob := make([]byte, 4096), make([]byte, 256)
		n, o, _, _, err := m.conn.ReadMsgUnix(buf, oob)
		if err != nil {
			m.t.Fatalf("systemd never heard %q, but %q: %v", text, m.heard, err)
		}
		m.heard = append(m.heard, string(buf[:n]))
		if messages, err := unix.ParseSocketControlMessage(oob[:o]); err == nil {
			for _, message := range messages {
				fds, _ := unix.ParseUnixRights(&message)
				m.fds = append(m.fds, fds...)
			}
		}
		if strings.Contains(string(buf[:n]), text) {
			return string(buf[:n])
		}
	}
}

func TestSystemdHearsHowFarItIs(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "4000000")
	dir, app := t.TempDir(), listener(t).Addr().String()
	cfg := parse(t, dir, "web", app, peertest.Port(t))
	cfg.Health.TermTimeout = 2 * time.Second
	d, err := New(cfg, "v1", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	m.hear("READY=1")
	m.hear("STATUS=1 check: 1 pass")
	m.hear("WATCHDOG=1")

	if err := d.Reread(func() (*config.Config, error) { return cfg, nil }); err != nil {
		t.Fatal(err)
	}
	if text := m.hear("RELOADING=1"); !strings.Contains(text, "\nMONOTONIC_USEC=") {
		t.Errorf("it reloads without the time: %q", text)
	}
	m.hear("READY=1")
	if err := d.Reread(func() (*config.Config, error) { return nil, fmt.Errorf("lbmedic.yaml:3:1: unknown key\nand more") }); err == nil {
		t.Error("a bad file was taken")
	}
	m.hear("RELOADING=1")
	m.hear("READY=1")
	m.hear("STATUS=the configuration was not taken: lbmedic.yaml:3:1: unknown key; and more; 1 check: 1 pass")

	done := make(chan struct{})
	go func() { defer close(done); d.Drain(ctx) }()
	m.hear("STOPPING=1")
	m.hear("EXTEND_TIMEOUT_USEC=5000000")
	<-done
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// systemd gets a copy of each listening socket, which it forgets when the address is given up, and not when the process stops.
func TestSystemdKeepsTheSockets(t *testing.T) {
	m := newManager(t)
	dir, app, port := t.TempDir(), listener(t).Addr().String(), peertest.Port(t)
	d, err := New(parse(t, dir, "web", app, port), "v1", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stored := m.hear("FDSTORE=1")
	if want := fmt.Sprintf("FDNAME=lbmedic-agent-127.0.0.1_%d", port); !strings.Contains(stored, want) || len(m.fds) != 1 {
		t.Fatalf("systemd keeps %d sockets as %q", len(m.fds), stored)
	}
	next := peertest.Port(t)
	if err := d.Reload(parse(t, dir, "web", app, next)); err != nil {
		t.Fatal(err)
	}
	m.hear(fmt.Sprintf("FDSTORE=1\nFDNAME=lbmedic-agent-127.0.0.1_%d", next))
	m.hear(fmt.Sprintf("FDSTOREREMOVE=1\nFDNAME=lbmedic-agent-127.0.0.1_%d", port))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", next)); err != nil {
		t.Errorf("the socket that systemd keeps refuses after the stop: %v", err)
	} else {
		_ = c.Close()
	}
	if last := m.heard[len(m.heard)-1]; strings.Contains(last, fmt.Sprint(next)) {
		t.Errorf("at the stop systemd heard %q", last)
	}
	for _, fd := range m.fds {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	}
}
