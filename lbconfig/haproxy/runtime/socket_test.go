package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
	"golang.org/x/sys/unix"
)

// problem is a socket that is no good, and what must be said of it.
type problem struct {
	address string
	cause   error
	says    string
}

func TestEverySocketProblemSaysWhatToDo(t *testing.T) {
	dir := peertest.Dir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	problems := map[string]problem{
		"missing":           {filepath.Join(dir, "nothing.sock"), ErrMissing, "is HAProxy running, and does its `stats socket` line name this path?"},
		"in no folder":      {filepath.Join(dir, "nowhere", "x.sock"), ErrMissing, "no such file"},
		"below a file":      {filepath.Join(file, "x.sock"), ErrMissing, "no such file"},
		"a regular file":    {file, ErrNotSocket, "is a regular file, not a socket"},
		"a link to a file":  {link, ErrNotSocket, "is a regular file, not a socket"},
		"a directory":       {dir, ErrNotSocket, "is a directory, not a socket"},
		"a device":          {"/dev/null", ErrNotSocket, "is a device, not a socket"},
		"stale":             {staleSocket(t, dir), ErrRefused, "a stale one that it left behind"},
		"a datagram socket": {datagramSocket(t, dir), ErrNotSocket, "not a stream socket"},
		"full listen queue": {fullQueue(t, dir), ErrTimeout, "its listen queue is full"},
		"silent":            {listen(t, func(c net.Conn) { io.Copy(io.Discard, c) }), ErrTimeout, "not one byte came back in time"},
		"closes at once":    {listen(t, func(c net.Conn) { readLine(c) }), ErrTruncated, "closed without an answer"},
		"a web server":      {listen(t, replies("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>\n> ")), ErrNotHAProxy, "is this the socket of a HAProxy?"},
		"binary":            {listen(t, replies("\x16\x03\x01\x02\x00\n\n> \x01")), ErrNotHAProxy, "is this the socket of a HAProxy?"},
		"another API":       {listen(t, replies("\n> \n> \n> Name: something\nVersion: 1\n\n> ")), ErrNotHAProxy, "`show info` says nothing of its Pid"},
		"half an answer":    {listen(t, replies("\n> \n> \n> Name: HAProxy\nVers")), ErrTruncated, "ended after"},
		"one endless line":  {listen(t, func(c net.Conn) { readLine(c); io.Copy(c, endlessReader{}) }), ErrNotHAProxy, "longer than 1048576 bytes"},
	}
	for name, p := range problems {
		t.Run(name, func(t *testing.T) {
			settings := Settings{Address: p.address, Timeout: 10 * time.Second}
			if errors.Is(p.cause, ErrTimeout) {
				settings.Timeout = 200 * time.Millisecond
			}
			client := New(settings)
			report, err := client.Do(t.Context(), Generation{}, SetState("web", "app1", Drain))
			complain(t, p, err)
			if report.Sent || len(report.Results) > 0 {
				t.Errorf("sent: %+v", report)
			}
			if _, err := client.SelfTest(t.Context()); !errors.Is(err, p.cause) {
				t.Errorf("self test: %v", err)
			}
			for what, err := range map[string]error{
				"info":    second(client.Info(t.Context())),
				"stat":    second(client.Stat(t.Context(), func(*StatRow) error { return nil })),
				"resolve": third(client.Resolve(t.Context(), SetState("web", "app1", Drain))),
				"master":  second(NewMaster(client.Settings()).Processes(t.Context())),
			} {
				if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), p.address) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func complain(t *testing.T, p problem, err error) {
	t.Helper()
	if !errors.Is(err, p.cause) || !strings.Contains(err.Error(), p.says) || !strings.Contains(err.Error(), p.address) ||
		strings.ContainsAny(err.Error(), "\n\r\x00\x16") || strings.Contains(err.Error(), "/proc/self/fd") {
		t.Errorf("%v", err)
	}
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func readLine(c net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil || bytes.IndexByte(buf[:n], '\n') >= 0 {
			return
		}
	}
}

func replies(text string) func(net.Conn) {
	return func(c net.Conn) {
		readLine(c)
		io.WriteString(c, text)
	}
}

func staleSocket(t *testing.T, dir string) string {
	path := filepath.Join(dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func datagramSocket(t *testing.T, dir string) string {
	path := filepath.Join(dir, "datagram.sock")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path
}

// fullQueue is a listener that accepts nothing and whose queue is full.
func fullQueue(t *testing.T, dir string) string {
	path := filepath.Join(dir, "full.sock")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			return path
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestACallerWhoLeavesTheFullQueueIsLetGo(t *testing.T) {
	client := New(Settings{Address: fullQueue(t, peertest.Dir(t)), Timeout: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := client.Info(ctx); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestASocketThatMayNotBeOpened(t *testing.T) {
	err := dialFault(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)})
	if !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), "run as a user of the group that the `stats socket` line names") {
		t.Errorf("%v", err)
	}
	if os.Getuid() == 0 {
		t.Skip("root may open everything")
	}
	dir := peertest.Dir(t)
	path := filepath.Join(dir, "closed.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	_, err = New(Settings{Address: path}).Info(t.Context())
	complain(t, problem{path, ErrPermission, "run as a user of the group"}, err)
}

func TestWarningsAboutASocket(t *testing.T) {
	cases := map[string]struct {
		mode, owner uint32
		owners      []uint32
		want        []Warning
	}{
		"as Debian makes it":          {0o660, 0, nil, nil},
		"of HAProxy's user":           {0o600, 107, []uint32{107}, nil},
		"of ourselves":                {0o600, 1000, []uint32{107}, nil},
		"of somebody":                 {0o600, 1001, []uint32{107}, []Warning{ForeignOwner}},
		"of somebody, not judged":     {0o600, 1001, nil, nil},
		"writable by all":             {0o666, 0, nil, []Warning{WorldWritable}},
		"readable by all":             {0o664, 0, nil, nil},
		"as -S makes it":              {0o755, 0, nil, nil},
		"of somebody, open to all":    {0o777, 1001, []uint32{107}, []Warning{WorldWritable, ForeignOwner}},
		"of one of several":           {0o600, 108, []uint32{107, 108}, nil},
		"of root, others are allowed": {0o600, 0, []uint32{107}, nil},
		"write bit of others alone":   {0o002, 0, nil, []Warning{WorldWritable}},
	}
	for name, c := range cases {
		if got := warnings(c.mode, c.owner, 1000, c.owners); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	path := listen(t, func(net.Conn) {})
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if got, err := New(Settings{Address: path}).Warnings(); err != nil || !slices.Equal(got, []Warning{WorldWritable}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := New(Settings{Network: "tcp", Address: "127.0.0.1:1"}).Warnings(); err != nil || !slices.Equal(got, []Warning{OverTCP}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := New(Settings{Address: path + "x"}).Warnings(); !errors.Is(err, ErrMissing) {
		t.Errorf("%v", err)
	}
}

func TestAllConnectionsInUse(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		h := peertest.HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+"    stats maxconn 2\n    stats timeout 30s\ndefaults\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\n")
		client := New(Settings{Address: h.Socket, Timeout: 300 * time.Millisecond})
		for range 2 {
			held, _, closeHeld, err := New(Settings{Address: h.Socket}).open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer closeHeld()
			_ = held
		}
		_, err := client.Info(t.Context())
		complain(t, problem{h.Socket, ErrTimeout, "its `stats maxconn` connections (default 10) are all in use"}, err)
	})
}

func TestTheRuntimeAPIOnAnAbstractSocket(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		name := "lbmedic-" + filepath.Base(dir)
		peertest.HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+"    stats socket abns@"+name+" level admin\ndefaults\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\n")
		access, err := New(Settings{Address: "@" + name}).SelfTest(t.Context())
		if err != nil || !access.Admin || !slices.Equal(access.Warnings, []Warning{WorldWritable}) {
			t.Errorf("%+v, %v", access, err)
		}
	})
}

func TestTheRuntimeAPIOverTCP(t *testing.T) {
	peertest.Each(t, "haproxy", func(t *testing.T, prog peer.Program) {
		t.Parallel()
		dir := peertest.Dir(t)
		address := fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))
		peertest.HAProxy(t, prog, dir, peer.HAProxyGlobal(dir)+"    stats socket "+address+" level admin\ndefaults\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\n"+
			"backend web\n    server app1 127.0.0.1:1\n")
		client := New(Settings{Network: "tcp", Address: address})
		access, err := client.SelfTest(t.Context())
		if err != nil || !access.Admin || !slices.Equal(access.Warnings, []Warning{OverTCP}) {
			t.Errorf("%+v, %v", access, err)
		}
		report, err := client.Apply(t.Context(), access.Info.Generation(), SetState("web", "app1", Drain))
		if err != nil || !report.All(Done) {
			t.Errorf("%+v, %v", report, err)
		}
	})
	_, err := New(Settings{Network: "tcp", Address: fmt.Sprintf("127.0.0.1:%d", peertest.Port(t))}).Info(t.Context())
	if !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
}
