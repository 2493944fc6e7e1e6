package watch

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// State is a set of files at one moment. Two states are equal (==) where nothing changed.
type State struct {
	// Content is the exact bytes: SHA-256 over each file's path and content in the order given, both preceded by their length
	// (8 bytes, big endian). What a guard validates, compares before it reloads, and remembers.
	Content [sha256.Size]byte
	// Identity is which files these are: device, inode, mode and owner of each, and the names in each folder.
	Identity [sha256.Size]byte
}

// Fingerprint reads files. A folder among the paths counts with the names in it. Whatever cannot be read is part of the
// state too, and the error names it: a missing file, a FIFO or device (never opened for long, never waited for), more than
// lbconfig.MaxSource bytes.
func Fingerprint(paths []string) (State, error) {
	content, identity := sha256.New(), sha256.New()
	var errs []error
	for _, path := range paths {
		put(identity, []byte(path))
		data, stat, err := read(path)
		if stat != nil {
			put(identity, fmt.Appendf(nil, "%d %d %o %d %d", stat.Dev, stat.Ino, stat.Mode, stat.Uid, stat.Gid))
		}
		switch {
		case errors.Is(err, errFolder):
			put(identity, data)
			continue
		case err != nil:
			errs = append(errs, err)
			put(identity, []byte(err.Error()))
			put(content, []byte(path))
			put(content, []byte("unreadable: "+err.Error()))
			continue
		}
		put(content, []byte(path))
		put(content, data)
	}
	return State{[sha256.Size]byte(content.Sum(nil)), [sha256.Size]byte(identity.Sum(nil))}, errors.Join(errs...)
}

func put(h hash.Hash, data []byte) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(data)))
	h.Write(size[:]) // a hash never returns an error
	h.Write(data)
}

var errFolder = errors.New("a folder")

// read returns a regular file's bytes, or a folder's names with errFolder.
func read(path string) (data []byte, stat *unix.Stat_t, err error) {
	var before unix.Stat_t
	if err := unix.Stat(path, &before); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	switch before.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		data, err := names(path)
		return data, &before, err
	case unix.S_IFREG:
	default:
		return nil, &before, fmt.Errorf("read %s: not a regular file", path)
	}
	// Between the two looks a FIFO may have taken its place: without O_NONBLOCK the open would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &before, fmt.Errorf("read %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	stat = &unix.Stat_t{}
	if err := unix.Fstat(int(f.Fd()), stat); err != nil {
		return nil, &before, fmt.Errorf("read %s: %w", path, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, stat, fmt.Errorf("read %s: not a regular file any more", path)
	}
	if stat.Size > lbconfig.MaxSource {
		return nil, stat, fmt.Errorf("read %s: more than the %d bytes that are read", path, lbconfig.MaxSource)
	}
	data, err = io.ReadAll(io.LimitReader(f, lbconfig.MaxSource+1))
	if err == nil && len(data) > lbconfig.MaxSource {
		err = fmt.Errorf("read %s: more than the %d bytes that are read", path, lbconfig.MaxSource)
	}
	return data, stat, err
}

func names(path string) ([]byte, error) {
	entries, err := os.ReadDir(path) // sorted
	if err != nil {
		return nil, fmt.Errorf("read %w", err)
	}
	var out []byte
	for _, e := range entries {
		out = append(append(out, e.Name()...), 0)
	}
	return out, errFolder
}
