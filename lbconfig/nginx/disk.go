package nginx

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Disk is the Tree of this machine's files.
type Disk struct {
	// Root is where "/" is: empty for this process's own, "/proc/PID/root" for that of an nginx in a chroot or a mount
	// namespace. Symlinks stay inside it.
	Root string
}

// Read gives the bytes of a regular file. A FIFO, a device or a folder is refused without waiting for it, a file of more
// than lbconfig.MaxSource bytes is refused unread.
func (d Disk) Read(path string) (data []byte, id string, err error) {
	f, err := d.open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, "", err
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG {
		return nil, "", fmt.Errorf("%s, not a regular file", kindName(kind))
	}
	if st.Size > lbconfig.MaxSource {
		return nil, "", fmt.Errorf("%d bytes, more than the %d that are read", st.Size, lbconfig.MaxSource)
	}
	data, err = io.ReadAll(io.LimitReader(f, lbconfig.MaxSource+1))
	if err == nil && len(data) > lbconfig.MaxSource {
		err = fmt.Errorf("it grew beyond the %d bytes that are read", lbconfig.MaxSource)
	}
	return data, fmt.Sprintf("%d:%d", st.Dev, st.Ino), err
}

// maxList bounds the names read of one folder.
const maxList = 1 << 16

// List names the entries of a folder.
func (d Disk) List(dir string) ([]string, error) {
	f, err := d.open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxList)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

func (d Disk) open(path string, flags int) (*os.File, error) {
	if d.Root == "" || d.Root == "/" {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), path), nil
	}
	root, err := unix.Open(d.Root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func kindName(kind uint32) string {
	switch kind {
	case unix.S_IFDIR:
		return "a folder"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return "a device"
}
