package haproxy

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Load reads a configuration as `haproxy -C dir -f path…` does: a path may be a folder, of which every regular *.cfg
// file counts that does not begin with a dot, in byte order. An empty dir means that relative paths belong to the working
// folder. What cannot be read is a Problem with Rule "read", "size" or "not-a-file", and the other files are still returned. Nothing but
// regular files of at most lbconfig.MaxSource bytes is opened.
func Load(dir string, paths ...string) (Files, []lbconfig.Problem) {
	var problems []lbconfig.Problem
	refuse := func(path, rule string, err error) {
		problems = append(problems, lbconfig.Problem{File: path, Severity: lbconfig.Error, Rule: rule, Text: oneLine(err.Error())})
	}
	found, err := Expand(dir, paths...)
	if err != nil {
		refuse(cmp.Or(dir, "."), "read", err)
	}
	var sources []*lbconfig.Source
	for _, path := range found {
		data, err := readRegular(path)
		switch {
		case errors.Is(err, errTooLarge):
			refuse(path, "size", err)
		case errors.Is(err, errNotAFile):
			refuse(path, "not-a-file", err)
		case err != nil:
			refuse(path, "read", err)
		default:
			sources = append(sources, lbconfig.NewSource(path, data))
		}
	}
	files, more := ParseAll(sources)
	return files, append(problems, more...)
}

// Expand lists the files that Load reads. A path that does not exist is listed as it is, so that a watch waits for it.
func Expand(dir string, paths ...string) ([]string, error) {
	var out []string
	var errs []error
	for _, path := range paths {
		if dir != "" && !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			out = append(out, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("list %s: %w", path, err))
			continue
		}
		var names []string
		for _, e := range entries {
			name := e.Name()
			if strings.HasSuffix(name, ".cfg") && !strings.HasPrefix(name, ".") && regular(filepath.Join(path, name)) {
				names = append(names, filepath.Join(path, name))
			}
		}
		slices.Sort(names)
		out = append(out, names...)
	}
	return out, errors.Join(errs...)
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

var (
	errTooLarge = fmt.Errorf("larger than the %d bytes that are read", lbconfig.MaxSource)
	errNotAFile = errors.New("not a regular file")
)

// readRegular never blocks on a FIFO, never opens a device, and never reads more than the limit, even of a file that
// grows meanwhile.
func readRegular(path string) (data []byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w but %s", path, errNotAFile, kindOf(info.Mode()))
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w any more", path, errNotAFile)
	}
	if info.Size() > lbconfig.MaxSource {
		return nil, fmt.Errorf("%s: %d bytes: %w", path, info.Size(), errTooLarge)
	}
	data, err = io.ReadAll(io.LimitReader(f, lbconfig.MaxSource+1))
	if err == nil && len(data) > lbconfig.MaxSource {
		return nil, fmt.Errorf("%s: %w", path, errTooLarge)
	}
	return data, err
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
