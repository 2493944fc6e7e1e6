package admin

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestOnlyTheGroupMayOpenTheSocket(t *testing.T) {
	g, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Skip("this user's group has no name")
	}
	for group, want := range map[string]fs.FileMode{"no-such-group": 0o600, g.Name: 0o660} {
		s := &Server{Socket: filepath.Join(t.TempDir(), "new", "a.sock"), Group: group}
		l, err := s.listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(s.Socket)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("group %s: mode %v, want %v, %v", group, info.Mode().Perm(), want, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(s.Socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket was left behind: %v", err)
		}
	}
}

func TestASocketOfADeadProcessIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := (&Server{Socket: path}).listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNotOursIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	live := filepath.Join(dir, "live.sock")
	l, err := net.Listen("unix", live)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string]string{
		live: "is lbmedic running already?",
		file: "is no socket",
		link: "is no socket",
		dir:  "is no socket",
		filepath.Join(dir, strings.Repeat("x", maxPath)): "bytes long",
		filepath.Join(file, "a.sock"):                    "not a directory",
	} {
		err := (&Server{Socket: path}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want %q", path, err, words)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file now holds %q, %v", text, err)
	}
	if c, err := net.Dial("unix", live); err != nil {
		t.Errorf("the living process lost its socket: %v", err)
	} else if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheClientSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string]string{dead: "nobody answers", filepath.Join(dir, "none.sock"): "does not exist"} {
		_, err := NewClient(path).Status(t.Context())
		if !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "lbmedic run") {
			t.Errorf("%s: got %v", path, err)
		}
	}
	c := &Client{socket: "/run/x.sock"}
	err = c.explain(context.Background(), &net.OpError{Op: "dial", Err: os.ErrPermission})
	if errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), "join the group lbmedic") {
		t.Errorf("got %v", err)
	}
}

func TestSomethingElseOnTheSocketIsToldApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 4096)
		_, _ = c.Read(buf)
		_, _ = c.Write([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
		_ = c.Close()
	}()
	if _, err := NewClient(path).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "is no lbmedic") {
		t.Errorf("got %v", err)
	}
}
