package watch

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/lbconfig"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
)

func TestWhatMustNotBeReadNeverBlocks(t *testing.T) {
	dir := t.TempDir()
	fifo, big, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "big"), filepath.Join(dir, "loop")
	must(t, syscall.Mkfifo(fifo, 0o600))
	write(t, big, "")
	must(t, os.Truncate(big, 1<<40))
	must(t, os.Symlink("loop", socket))
	for path, want := range map[string]string{fifo: "not a regular file", big: "more than the", "/dev/zero": "not a regular file", socket: "too many levels", filepath.Join(dir, "none"): "no such file"} {
		before, err := Fingerprint([]string{path})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", path, err)
		}
		if again, _ := Fingerprint([]string{path}); again != before {
			t.Errorf("%s: two states of the same", path)
		}
	}
}

func TestAFileOfTheLargestSizeIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, "")
	must(t, os.Truncate(path, lbconfig.MaxSource))
	if _, err := Fingerprint([]string{path}); err != nil {
		t.Error(err)
	}
	must(t, os.Truncate(path, lbconfig.MaxSource+1))
	if _, err := Fingerprint([]string{path}); err == nil {
		t.Error("one byte more was read")
	}
}

func TestContentAndIdentity(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	write(t, path, "text")
	before, err := Fingerprint([]string{path})
	must(t, err)
	write(t, filepath.Join(dir, "b"), "text")
	must(t, os.Rename(filepath.Join(dir, "b"), path))
	renamed, err := Fingerprint([]string{path})
	must(t, err)
	if renamed.Content != before.Content || renamed.Identity == before.Identity {
		t.Error("the same bytes in another file: the content must be the same, the identity not")
	}
	write(t, path, "texu")
	edited, err := Fingerprint([]string{path})
	must(t, err)
	if edited.Content == before.Content || edited.Identity != renamed.Identity {
		t.Error("other bytes in the same file: the identity must be the same, the content not")
	}
	folder, err := Fingerprint([]string{dir})
	must(t, err)
	write(t, filepath.Join(dir, "new"), "")
	if more, err := Fingerprint([]string{dir}); err != nil || more.Identity == folder.Identity || more.Content != folder.Content {
		t.Errorf("a new name in a folder: %v", err)
	}
}

// Content must tell apart any two lists of files, however their bytes are split.
func TestContentIsTheBytesAndTheirBorders(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("ab\n")), 0, 3, -1), 1, 3)
		a, b := texts.Draw(rt, "a"), texts.Draw(rt, "b")
		if same := contentOf(rt, dir, a) == contentOf(rt, dir, b); same != slices.Equal(a, b) {
			rt.Errorf("%q and %q: same %v", a, b, same)
		}
	})
}

func contentOf(t *rapid.T, dir string, texts []string) [sha256.Size]byte {
	var paths []string
	for i, text := range texts {
		path := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	state, err := Fingerprint(paths)
	if err != nil {
		t.Fatal(err)
	}
	return state.Content
}

// The hash of what was parsed and the hash of what lies on disk must agree: that is how a guard knows that it validated
// what it is about to load.
func TestContentIsTheHashOfTheParsedFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "10.cfg"), "global\n")
	write(t, filepath.Join(dir, "20.cfg"), "defaults # é\n")
	write(t, filepath.Join(dir, "ignored.txt"), "x")
	files, problems := haproxy.Load("", dir)
	if len(problems) > 0 || len(files) != 2 {
		t.Fatal(files, problems)
	}
	state, err := Fingerprint(files.Paths())
	if err != nil || state.Content != files.Hash() {
		t.Errorf("%x is not %x, %v", state.Content, files.Hash(), err)
	}
}

func TestFoldersFollowEveryLink(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	write(t, filepath.Join(dir, "real/deep/a.cfg"), "x")
	must(t, os.Mkdir(filepath.Join(dir, "links"), 0o755))
	must(t, os.Symlink("../real", filepath.Join(dir, "links/one")))
	must(t, os.Symlink(filepath.Join(dir, "links/one/deep/a.cfg"), filepath.Join(dir, "links/a.cfg")))
	must(t, os.Symlink("self", filepath.Join(dir, "links/self")))
	got := folders([]string{filepath.Join(dir, "links/a.cfg")})
	for _, want := range []string{"links", "real/deep", "real", "."} {
		if !slices.Contains(got, filepath.Join(dir, want)) {
			t.Errorf("%s is not among %q", want, got)
		}
	}
	if got := folders([]string{filepath.Join(dir, "links/self")}); !slices.Contains(got, filepath.Join(dir, "links")) {
		t.Errorf("a loop: %q", got)
	}
	if got := folders([]string{filepath.Join(dir, "no/such/thing")}); got[0] != dir {
		t.Errorf("a missing path: %q", got)
	}
	if got := folders([]string{filepath.Join(dir, "real/deep")}); got[0] != filepath.Join(dir, "real/deep") {
		t.Errorf("a folder: %q", got)
	}
}
