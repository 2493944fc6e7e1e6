package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// maxHops is how many symbolic links one path may lead through; Linux allows 40.
const maxHops = 40

// folders are the folders whose events may tell of a change of the paths: where each file is, where each symbolic link on
// the way to it is, and the parent of each of those, which tells when the folder itself is moved or made anew. All are free
// of links and exist.
func folders(paths []string) []string {
	seen := map[string]bool{}
	var out []string
	add := func(dir string) {
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if !seen[d] {
				seen[d] = true
				out = append(out, d)
			}
		}
	}
	for _, path := range paths {
		if abs, err := filepath.Abs(path); err == nil {
			walk(abs, add)
		}
	}
	return out
}

// walk goes down an absolute path and calls add for the folder of each link, and for the last folder that exists.
func walk(path string, add func(dir string)) {
	at, rest := "/", strings.Split(strings.Trim(path, "/"), "/")
	for hops := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			add(at)
			return
		case info.Mode()&os.ModeSymlink != 0:
			add(at)
			target, err := os.Readlink(next)
			if hops++; err != nil || hops > maxHops {
				return
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
		case info.IsDir():
			at = next
		default:
			add(at)
			return
		}
	}
	add(at) // the path is a folder
}
