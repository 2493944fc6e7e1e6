package runtime

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketFile is a unix socket's file held by a descriptor, so that what was looked at is what is connected to.
type socketFile struct {
	fd   int
	stat unix.Stat_t
}

// openSocket opens the file without connecting to it, and refuses what is no socket.
func openSocket(path string) (*socketFile, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	s := &socketFile{fd: fd}
	if err := unix.Fstat(fd, &s.stat); err != nil {
		s.close()
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if s.stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		s.close()
		return nil, newFault(ErrNotSocket, syscall.ENOTSOCK, "%s is %s, not a socket: name the path of HAProxy's `stats socket` line", path, kind(s.stat.Mode))
	}
	return s, nil
}

// path leads to the open file itself, whatever has become of its name.
func (s *socketFile) path() string { return "/proc/self/fd/" + strconv.Itoa(s.fd) }

func (s *socketFile) close() { unix.Close(s.fd) }

func kind(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a regular file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFIFO:
		return "a named pipe"
	}
	return "a device"
}

// Warning is something about a socket that works and is dangerous all the same.
type Warning string

// The warnings.
const (
	WorldWritable Warning = "every user of this host may use the socket: add `mode 660` and `group haproxy` to its line"
	OverTCP       Warning = "the socket is reached over TCP, where nobody is asked who he is: use a unix socket, or bind it to loopback"
	ForeignOwner  Warning = "the socket belongs neither to root nor to the user who runs HAProxy's master: check who made it"
)

// Warnings looks at the socket without connecting to it. owners are the user ids that may own the file besides root and
// the own user; none given means that the owner is not judged.
func (c *Client) Warnings(owners ...uint32) ([]Warning, error) {
	if c.settings.Network != "unix" {
		return []Warning{OverTCP}, nil
	}
	if c.settings.abstract() { // no file, no mode: whoever shares the network namespace may connect
		return []Warning{WorldWritable}, nil
	}
	socket, err := openSocket(c.settings.Address)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", c.settings.Address, dialFault(err))
	}
	defer socket.close()
	return warnings(socket.stat.Mode, socket.stat.Uid, uint32(os.Getuid()), owners), nil
}

func warnings(mode, owner, self uint32, owners []uint32) []Warning {
	var all []Warning
	if mode&0o002 != 0 { // connecting takes the write bit
		all = append(all, WorldWritable)
	}
	if len(owners) == 0 || owner == 0 || owner == self {
		return all
	}
	for _, o := range owners {
		if o == owner {
			return all
		}
	}
	return append(all, ForeignOwner)
}
