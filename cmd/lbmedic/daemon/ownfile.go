package daemon

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/lbconfig/watch"
)

// OwnFile watches the configuration file and what it refers to by ${file:…} and ${cred:…}.
type OwnFile struct {
	path string
	log  *zap.Logger

	mu   sync.Mutex
	last [sha256.Size]byte // of what was read last
}

// NewOwnFile makes the watch of the file at path, to be called before the file is read: what changes from then on is a change.
func NewOwnFile(path string, log *zap.Logger) *OwnFile {
	f := &OwnFile{path: path, log: log}
	f.Changed()
	return f
}

// Run calls changed after each change of the files' content, once they have been quiet for a moment, until ctx is done.
func (f *OwnFile) Run(ctx context.Context, changed func()) error {
	w := watch.New(watch.Settings{Paths: f.paths, Polling: func(reason error) {
		if reason != nil {
			f.log.Warn("no events for the configuration; it is read each 10 s", zap.Error(reason))
		}
	}})
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-w.Wake():
			if f.Changed() {
				changed()
			}
		}
	}
}

// Changed reports whether the content is another one than at the last call. A file that is gone is no change: an editor may be between
// removing and renaming, and what was read stays good.
func (f *OwnFile) Changed() bool {
	if _, err := os.Stat(f.path); err != nil {
		return false
	}
	state, err := watch.Fingerprint(f.paths())
	if err != nil {
		f.log.Debug("look at the configuration", zap.Error(err))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := state.Content != f.last
	f.last = state.Content
	return changed
}

// references finds ${file:/path} and ${cred:NAME}. One that is escaped or in a comment is watched for nothing, which harms nobody.
var references = regexp.MustCompile(`\$\{(file|cred):([^}\n]+)\}`)

// maxReferences bounds the files that are watched.
const maxReferences = 256

func (f *OwnFile) paths() []string {
	paths := []string{f.path}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return paths
	}
	for _, m := range references.FindAllSubmatch(text, maxReferences) {
		switch path := string(m[2]); {
		case string(m[1]) == "cred":
			paths = append(paths, filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), filepath.Base(path)))
		case filepath.IsAbs(path):
			paths = append(paths, path)
		}
	}
	return paths
}
