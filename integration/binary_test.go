package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
)

// TestMain removes the program that the tests were given, if one asked for it.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := lbmedic.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// lbmedic is the real program, built by the first test that needs it.
var lbmedic binary

type binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// program is the path of the built program. It has the race detector where the tests have it.
func (b *binary) program(t *testing.T) string {
	t.Helper()
	b.once.Do(b.build)
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

func (b *binary) build() {
	if b.dir, b.err = os.MkdirTemp("", "lbmedic-integration"); b.err != nil {
		return
	}
	b.path = filepath.Join(b.dir, "lbmedic")
	args := []string{"build", "-tags", "grpcnotrace", "-ldflags", "-X main.version=integration", "-o", b.path}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, module+"/cmd/lbmedic")...).CombinedOutput(); err != nil {
		b.err = fmt.Errorf("build lbmedic: %w\n%s", err, out)
	}
}

func (b *binary) remove() error {
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}
