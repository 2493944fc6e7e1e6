package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// tmpfs mounts a file system of 1 MiB and 100 inodes of its own.
func tmpfs(t *testing.T) string {
	t.Helper()
	peertest.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,nr_inodes=100"); err != nil {
		peertest.Missing(t, "mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func fill(t *testing.T, dir string, size int) {
	t.Helper()
	write(t, filepath.Join(dir, "filled"), strings.Repeat("x", size))
}

func TestDiskIsJudgedOnARealFileSystem(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(t *testing.T, dir string)
		o      options
		class  healthd.Class
		detail string
	}{
		"empty":         {func(*testing.T, string) {}, nil, healthd.OK, "full (1.0 MiB of 1.0 MiB left)"},
		"nearly full":   {func(t *testing.T, dir string) { fill(t, dir, 980<<10) }, nil, healthd.Degraded, "is 95.7% full (44.0 KiB of 1.0 MiB left), warns above 90%, fails above 97%"},
		"full":          {func(t *testing.T, dir string) { fill(t, dir, 1<<20) }, nil, healthd.WrongAnswer, "is 100% full (0 B of 1.0 MiB left), fails above 97%"},
		"little room":   {func(t *testing.T, dir string) { fill(t, dir, 512<<10) }, options{"free_fail": {"600KiB"}}, healthd.WrongAnswer, "has 512 KiB left, fails below 600 KiB"},
		"enough room":   {func(t *testing.T, dir string) { fill(t, dir, 512<<10) }, options{"free_fail": {"500KiB"}}, healthd.OK, "has 512 KiB left"},
		"out of inodes": {manyFiles(99), nil, healthd.WrongAnswer, "100% of the inodes of "},
		"many inodes":   {manyFiles(92), nil, healthd.Degraded, "(7 of 100 left), warns above 90%"},
		"read-only":     {readOnly, nil, healthd.WrongAnswer, "is mounted read-only"},
		"as it should":  {readOnly, options{"read_only": {"true"}}, healthd.OK, "full"},
		"mounted":       {func(*testing.T, string) {}, options{"mounted": {"true"}}, healthd.OK, "full"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tmpfs(t)
			c.do(t, dir)
			o := prober(t, "disk", []string{dir}, c.o)()
			sees(t, o, c.class, c.detail)
			if o.Unit != "percent" || o.Value < 0 || o.Value > 100 {
				t.Errorf("measured %g %s", o.Value, o.Unit)
			}
		})
	}
}

func manyFiles(n int) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		for i := range n {
			write(t, filepath.Join(dir, fmt.Sprint(i)), "")
		}
	}
}

func readOnly(t *testing.T, dir string) {
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// hanging mounts a file system of FUSE that nobody serves, as a network file system is whose server is gone, and gives what ends it.
func hanging(t *testing.T) (dir string, end func()) {
	t.Helper()
	peertest.Root(t)
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		peertest.Missing(t, "%v", err)
	}
	end = sync.OnceFunc(func() { _ = fuse.Close() })
	dir = t.TempDir()
	if err := unix.Mount("hanging", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())); err != nil {
		end()
		peertest.Missing(t, "mount a file system of FUSE: %v", err)
	}
	t.Cleanup(func() {
		end()
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir, end
}

// A file system that hangs is a timeout, at the deadline; once it ends to hang, the next probe sees what became of it.
func TestAFileSystemThatHangsIsATimeout(t *testing.T) {
	for kind, target := range map[string]string{"disk": "", "file": "heartbeat"} {
		t.Run(kind, func(t *testing.T) {
			dir, end := hanging(t)
			p, err := New(kind, []string{filepath.Join(dir, target)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			before := runtime.NumGoroutine()
			for range 5 {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				start := time.Now()
				sees(t, p(ctx), healthd.TimedOut, " does not answer; its file system hangs")
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("the probe took %s of 50ms", took)
				}
				cancel()
			}
			if now := runtime.NumGoroutine(); now > before+2 { // one of ours, and room for one of the runtime
				t.Errorf("%d calls hang", now-before)
			}
			end()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			sees(t, p(ctx), healthd.OwnFault, "not connected")
		})
	}
}

func TestDiskThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	sees(t, prober(t, "disk", []string{filepath.Join(dir, "lost")}, nil)(), healthd.WrongAnswer, "lost is not there")
	sees(t, prober(t, "disk", []string{dir}, options{"mounted": {"true"}, "warn": {"100"}, "fail": {"100"}})(), healthd.WrongAnswer, "nothing is mounted at "+dir)
	write(t, filepath.Join(dir, "file"), "")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sees(t, prober(t, "disk", []string{filepath.Join(dir, "file", "below")}, nil)(), healthd.OwnFault, "not a directory")
}

// A folder of the same file system mounted elsewhere is mounted there; a symbolic link to a folder of another is not.
func TestWhatIsMountedIsToldByItsRoot(t *testing.T) {
	dir := tmpfs(t)
	inner, bound, below, link := filepath.Join(dir, "inner"), filepath.Join(dir, "bound"), filepath.Join(dir, "inner", "below"), filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.MkdirAll(below, 0o755), os.Mkdir(bound, 0o755), os.Symlink(inner, link), os.Symlink(dir, link+"2")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(inner, bound, "", unix.MS_BIND, ""); err != nil {
		peertest.Missing(t, "mount a folder: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(bound, 0); err != nil {
			t.Error(err)
		}
	})
	for path, want := range map[string][2]bool{ // as the kernel tells it, and by device
		dir: {true, true}, bound: {true, false}, inner: {false, false}, below: {false, false}, filepath.Join(bound, "below"): {false, false},
		link: {false, false}, link + "2": {true, true}, "/": {true, true}, "/proc": {true, true},
	} {
		got, err := isMounted(path)
		byDevice, err2 := mountedByDevice(path)
		if err != nil || err2 != nil || got != want[0] || byDevice != want[1] {
			t.Errorf("%s: %v, by device %v, want %v; %v %v", path, got, byDevice, want, err, err2)
		}
	}
}
