package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
)

// A stop tells the balancers for some seconds. Whoever has no time for that says so by a second signal.
func TestASecondSignalEndsTheDrainOfAStop(t *testing.T) {
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		target, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		dir := t.TempDir()
		cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, "health:\n  http: off\n  agent: off\n  services: {web: {checks: {port: {tcp: %s}}}}\n"+
			"admin: {socket: %s, http: off}\nstate: %s\n", target.Addr(), filepath.Join(dir, "a.sock"), filepath.Join(dir, "state")))
		if err != nil {
			t.Fatal(err)
		}
		said := make(chan string, 100)
		log := zap.New(zapcore.RegisterHooks(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zap.InfoLevel),
			func(e zapcore.Entry) error { said <- e.Message; return nil }))
		d, err := daemon.New(cfg, "v1", log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- serve(ctx, d, daemon.NewOwnFile(filepath.Join(dir, "none.yaml"), log), nil, log) }()
		hear(t, said, "ready")
		stop(stoppedBy{syscall.SIGTERM})
		hear(t, said, "draining before the stop")
		begun := time.Now()
		if err := syscall.Kill(os.Getpid(), second); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: ended after %s with %v", second, time.Since(begun), err)
		}
	}
}

func hear(t *testing.T, said <-chan string, want string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case s := <-said:
			if s == want {
				return
			}
		case <-deadline:
			t.Fatalf("it never said %q", want)
		}
	}
}
