package durable

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// acl is an access list in the kernel's form: the owner and user 65533 read and write, the group nothing.
func acl() []byte {
	out := binary.LittleEndian.AppendUint32(nil, 2) // version
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{0x01, 6, 1<<32 - 1}, {0x02, 6, 65533}, {0x04, 0, 1<<32 - 1}, {0x10, 6, 1<<32 - 1}, {0x20, 0, 1<<32 - 1}} {
		out = binary.LittleEndian.AppendUint16(out, e.tag)
		out = binary.LittleEndian.AppendUint16(out, e.perm)
		out = binary.LittleEndian.AppendUint32(out, e.id)
	}
	return out
}

// takes sets an attribute, and is false where the file system has none of that kind.
func takes(t *testing.T, path, name, value string) bool {
	t.Helper()
	err := unix.Setxattr(path, name, []byte(value), 0)
	if errors.Is(err, unix.ENOTSUP) {
		t.Logf("the file system of %s has no %s: that it is kept was not seen", path, name)
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

func get(t *testing.T, path, name string) string {
	t.Helper()
	buf := make([]byte, maxAttribute)
	n, err := unix.Getxattr(path, name, buf)
	if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	return string(buf[:max(n, 0)])
}

func TestReplacedFileKeepsItsAttributesAndAccessList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for name, value := range map[string]string{"user.lbmedic": "kept", "user.empty": "", accessList: string(acl())} {
		if takes(t, path, name, value) {
			want[name] = value
		}
	}
	before, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := list(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, name := range names {
		kept[name] = true
	}
	for name, value := range want {
		if got := get(t, path, name); !kept[name] || got != value {
			t.Errorf("%s became %q, was %q", name, got, value)
		}
	}
	if after, err := os.Lstat(path); err != nil || after.Mode() != before.Mode() {
		t.Errorf("the mode became %v, was %v, %v", after.Mode(), before.Mode(), err)
	}
}

// What the folder gives to new files is not for one that was there before.
func TestReplacedFileTakesNoAccessListFromItsFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	takes(t, dir, "system.posix_acl_default", string(acl()))
	if err := WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(t, path, accessList); got != "" {
		t.Errorf("it has the access list %q", got)
	}
	if fi, err := os.Lstat(path); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestOnlyLabelsAndWhatIsUnknownThereMayMiss(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"security.selinux", unix.EPERM, true}, {"security.capability", unix.ENOTSUP, true}, {"user.x", unix.ENOTSUP, true},
		{"user.x", unix.ENOSPC, false}, {accessList, unix.ENOTSUP, false}, {accessList, unix.EPERM, false}, {"system.nfs4_acl", unix.EINVAL, false},
	} {
		if got := mayMiss(tt.name, tt.err); got != tt.want {
			t.Errorf("%s, %v: got %v", tt.name, tt.err, got)
		}
	}
}
