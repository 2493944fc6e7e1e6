package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

func TestOnlyFilesThatNobodyElseCouldWriteAreValidated(t *testing.T) {
	tests := map[string]struct {
		file, dir os.FileMode
		owner     int
		want      string
	}{
		"ours alone":                  {file: 0o644, dir: 0o755, owner: -1},
		"a file for the group":        {file: 0o664, dir: 0o755, owner: -1, want: "may be written by others"},
		"a folder for all":            {file: 0o644, dir: 0o777, owner: -1, want: "may be written by others"},
		"a folder for all but sticky": {file: 0o644, dir: 0o777 | os.ModeSticky, owner: -1},
		"somebody else's file":        {file: 0o644, dir: 0o755, owner: 12345, want: "belongs to user 12345"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "etc")
			file := filepath.Join(dir, "haproxy.cfg")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.owner >= 0 {
				peertest.Root(t)
				if err := os.Chown(file, tt.owner, -1); err != nil {
					t.Fatal(err)
				}
			}
			for path, mode := range map[string]os.FileMode{file: tt.file, dir: tt.dir} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			err := trusted([]string{file})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
