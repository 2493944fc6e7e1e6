package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFilesOfOthersAreRefusedAndUntouched(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	const secret = "not ours\n"
	link := func(path string) error { return os.Symlink(victim, path) }
	dangling := func(path string) error { return os.Symlink(victim+".new", path) }
	fifo := func(path string) error { return syscall.Mkfifo(path, 0o600) }
	folder := func(path string) error { return os.Mkdir(path, 0o700) }
	open := func(mode fs.FileMode) func(string) error {
		return func(path string) error {
			err := os.WriteFile(path, nil, 0o600)
			return errors.Join(err, os.Chmod(path, mode))
		}
	}
	foreign := func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 12345, 12345))
	}
	for name, test := range map[string]struct {
		plant func(string) error
		want  string
		root  bool
	}{
		"a symlink":                  {plant: link, want: "is a symlink"},
		"a symlink to nothing":       {plant: dangling, want: "is a symlink"},
		"a FIFO":                     {plant: fifo, want: "is no regular file"},
		"a folder":                   {plant: folder, want: " is "},
		"a file the group can write": {plant: open(0o660), want: "chmod go-w"},
		"a file everybody can write": {plant: open(0o602), want: "chmod go-w"},
		"a file of somebody else":    {plant: foreign, want: "belongs to user 12345", root: true},
	} {
		for _, file := range []string{"journal", "checkpoint", "checkpoint.old", "lock"} {
			t.Run(name+" as "+file, func(t *testing.T) {
				if test.root && os.Geteuid() != 0 {
					t.Skip("only root can give a file away")
				}
				if err := os.WriteFile(victim, []byte(secret), 0o600); err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				if err := test.plant(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				j, _, err := Open(dir, Settings{})
				if err == nil {
					j.Close()
				}
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), file) {
					t.Errorf("%v", err)
				}
				if got, err := os.ReadFile(victim); err != nil || string(got) != secret {
					t.Errorf("the victim holds %q, %v", got, err)
				}
				if _, err := os.Lstat(victim + ".new"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the victim's neighbour: %v", err)
				}
			})
		}
	}
}

// The owner of the directory must not swap a file under a running daemon either; a checkpoint is written by name.
func TestASymlinkPlantedLaterIsNotFollowed(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, _ := mustOpen(t, dir, Settings{})
	r := mustAppend(t, j, "take", nil)
	if err := os.Symlink(victim, filepath.Join(dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	err := j.Checkpoint(r.Seq, 1)
	if got, rerr := os.ReadFile(victim); rerr != nil || string(got) != "old" {
		t.Errorf("the victim holds %q, %v (checkpoint: %v)", got, rerr, err)
	}
}

func TestTheStateDirectoryMustBeOurs(t *testing.T) {
	for name, test := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"open to the group": {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)) }, "chmod go-w"},
		"a file":            {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "is no directory"},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		if err := test.make(dir); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(dir, Settings{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFilesAreMadeForTheirOwnerAlone(t *testing.T) {
	real := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "state") // as systemd's DynamicUser= makes it
	if err := os.Symlink(real, dir); err != nil {
		t.Fatal(err)
	}
	uid := os.Geteuid()
	if uid == 0 { // root works in the directory of the daemon's user: lbmedic release
		uid = 12345
		if err := os.Chown(real, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	j, _ := mustOpen(t, filepath.Join(dir), Settings{Keep: 1})
	for range 3 {
		if err := j.Checkpoint(mustAppend(t, j, "take", nil).Seq, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"journal", "checkpoint", "checkpoint.old", "lock"} {
		fi, err := os.Lstat(filepath.Join(real, file))
		if err != nil {
			t.Fatal(err)
		}
		if st := fi.Sys().(*syscall.Stat_t); fi.Mode() != 0o600 || int(st.Uid) != uid {
			t.Errorf("%s: mode %v, user %d, want 0600 and %d", file, fi.Mode(), st.Uid, uid)
		}
	}
	deeper := filepath.Join(t.TempDir(), "var", "state")
	mustOpen(t, deeper, Settings{})
	if fi, err := os.Stat(deeper); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
}
