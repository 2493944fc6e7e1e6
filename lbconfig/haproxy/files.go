package haproxy

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Files is a configuration: its files in the order in which HAProxy reads them. Defaults sections reach from one file
// into the next; any other section ends with its file.
type Files []*File

// ParseAll parses sources in the order given.
func ParseAll(sources []*lbconfig.Source) (Files, []lbconfig.Problem) {
	var files Files
	var problems []lbconfig.Problem
	for _, src := range sources {
		f, p := Parse(src)
		files, problems = append(files, f), append(problems, p...)
	}
	return files, problems
}

// Paths are the files' paths, in order.
func (fs Files) Paths() []string {
	paths := make([]string, len(fs))
	for i, f := range fs {
		paths[i] = f.Source.Path
	}
	return paths
}

// Hash identifies the configuration by its exact bytes: SHA-256 over each file's path and content, both preceded by
// their length (8 bytes, big endian), in order. It is the hash that watch.Fingerprint gives as Content for the same paths.
func (fs Files) Hash() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range fs {
		for _, part := range [][]byte{[]byte(f.Source.Path), f.Source.Bytes} {
			var size [8]byte
			binary.BigEndian.PutUint64(size[:], uint64(len(part)))
			h.Write(size[:]) // a hash never returns an error
			h.Write(part)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}
