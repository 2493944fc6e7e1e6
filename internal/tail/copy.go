package tail

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxCopies bounds how many files beside the log are opened, and maxEntries how many are looked at.
const (
	maxCopies  = 8
	maxEntries = 4096
)

// copied finds the copy that was made of the file before it was truncated, to be read from where the reading was; nil where there is none.
// A copy that cannot be read, or is compressed already, is none.
func (t *Tail) copied() *stream {
	if len(t.now.before) == 0 {
		return nil // nothing by which a copy would be known
	}
	for _, path := range t.beside() {
		f, err := openFile(path)
		if err != nil {
			continue
		}
		if same, err := t.now.continuedBy(f); err == nil && same {
			s := *t.now
			s.file, s.buf = f, nil
			t.now.partial, t.now.before = nil, nil // they go on in the copy
			return &s
		}
		// It was only looked at: closing it cannot lose anything.
		_ = f.Close()
	}
	return nil
}

// beside are the files whose names begin with that of the log and that hold as much as was read, the newest first.
func (t *Tail) beside() []string {
	dir, err := os.Open(filepath.Dir(t.Path))
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	entries, err := dir.ReadDir(maxEntries)
	if err != nil {
		return nil
	}
	var found []fs.FileInfo
	base := filepath.Base(t.Path)
	for _, e := range entries {
		if e.Name() == base || !strings.HasPrefix(e.Name(), base) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && info.Size() >= t.now.offset {
			found = append(found, info)
		}
	}
	slices.SortFunc(found, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var paths []string
	for _, info := range found[:min(len(found), maxCopies)] {
		paths = append(paths, filepath.Join(filepath.Dir(t.Path), info.Name()))
	}
	return paths
}
