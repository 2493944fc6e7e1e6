package daemon

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// notify tells systemd how far the process is, where systemd asked for it ($NOTIFY_SOCKET).
func notify(log *zap.Logger, state ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(state, "\n")); err != nil {
		log.Warn("tell systemd", zap.Strings("state", state), zap.Error(err))
	}
}

const storePrefix = "lbmedic-" // of the names of the sockets that systemd keeps for us

// stored is the name under which systemd keeps the socket; it takes no colon.
func (s *socket) stored() string {
	return storePrefix + s.name + "-" + strings.NewReplacer(":", "_", "[", "", "]", "").Replace(s.addr.String())
}

// storeSocket gives systemd a copy of a listening socket, which it passes to the next process of the service (FDSTORE=1, see sd_notify(3)).
// A unit without FileDescriptorStoreMax= ignores it.
func storeSocket(s *socket) error {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	to, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	raw, err := s.file.SyscallConn()
	if err != nil {
		return errors.Join(err, unix.Close(to))
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		sent = unix.Sendmsg(to, []byte("FDSTORE=1\nFDNAME="+s.stored()), unix.UnixRights(int(fd)), &unix.SockaddrUnix{Name: address}, 0)
	})
	return errors.Join(err, sent, unix.Close(to))
}

// forgetSocket has systemd drop what it keeps under a name. A name that is not from storeSocket is a socket unit's, and stays.
func forgetSocket(name string) error {
	if !strings.HasPrefix(name, storePrefix) {
		return nil
	}
	if _, err := daemon.SdNotify(false, "FDSTOREREMOVE=1\nFDNAME="+name); err != nil {
		return fmt.Errorf("have systemd forget the socket %s: %w", name, err)
	}
	return nil
}
