package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// maxPath is the longest path that a unix socket can have on Linux, in bytes.
const maxPath = 107

// listen opens the socket, 0660 for the group, or 0600 where there is no such group.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	if len(s.Socket) > maxPath {
		return nil, fmt.Errorf("the path %s is %d bytes long; a unix socket's may have %d", s.Socket, len(s.Socket), maxPath)
	}
	if err := os.MkdirAll(filepath.Dir(s.Socket), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the socket: %w", err)
	}
	if err := clear(ctx, s.Socket); err != nil {
		return nil, err
	}
	// The mode of the inode that bind makes is that of the socket: nobody can connect before the group is set.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }), err)
	}}
	l, err := config.Listen(ctx, "unix", s.Socket)
	if err != nil {
		return nil, err
	}
	s.admit()
	return l, nil
}

// clear removes the socket that a dead process left behind, and nothing else.
func clear(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is there and is no socket; move it away, or set admin.socket to another path", path)
	}
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return fmt.Errorf("another process answers on %s; is lbmedic running already?", path)
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	}
	return fmt.Errorf("%s is there, and whether anybody answers on it cannot be told: %w", path, err)
}

// admit lets the group in. Where that cannot be done the owner alone may connect, which is safe, and is told.
func (s *Server) admit() {
	name := s.Group
	if name == "" {
		name = DefaultGroup
	}
	err := func() error {
		g, err := user.LookupGroup(name)
		if err != nil {
			return err
		}
		gid, err := strconv.Atoi(g.Gid)
		if err != nil {
			return err
		}
		if err := os.Chown(s.Socket, -1, gid); err != nil {
			return err
		}
		return os.Chmod(s.Socket, 0o660)
	}()
	if err != nil {
		s.log().Info("only the owner may open the admin socket", zap.String("socket", s.Socket), zap.String("group", name), zap.Error(err))
	}
}
