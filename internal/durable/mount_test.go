package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mounted runs do where from is mounted on path. Nobody else sees the mount: it is in a namespace of a thread that ends.
func mounted(from, path string, do func()) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never given back
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount(from, path, "", unix.MS_BIND, "")
		}
		if err == nil {
			do()
		}
		done <- err
	}()
	return <-done
}

// A configuration that a container gets as a single file.
func TestMountedFileSaysWhatToMountInstead(t *testing.T) {
	const want = "is a mount point of its own; mount its folder instead"
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	from := filepath.Join(t.TempDir(), "from")
	for _, name := range []string{path, from} {
		if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if cannot := mounted(from, path, func() { err = WriteFile(path, []byte("new"), 0o600) }); errors.Is(cannot, unix.EPERM) {
		t.Logf("no right to mount here (%v): only the wording was seen", cannot)
		err = inTheWay(path, fmt.Errorf("rename: %w", unix.EBUSY))
	} else if cannot != nil {
		t.Fatal(cannot)
	}
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), path+" "+want) {
		t.Errorf("got %v", err)
	}
	if got, err := os.ReadFile(from); err != nil || string(got) != "old" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
	if err := inTheWay(path, unix.EACCES); err != unix.EACCES {
		t.Errorf("another error became %v", err)
	}
}
