package integration

import (
	"hash/fnv"
	"os"
	"testing"

	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// versions are those that the peers' cache holds.
var versions = map[string][]string{
	"haproxy": {"2.2", "2.6", "3.0", "3.2"},
	"nginx":   {"1.18", "1.22", "1.26", "1.30"},
}

// eachOrOne runs the test against every version where LBMEDIC_MATRIX=full, and otherwise against one, which the test's
// name chooses, so that all tests together meet them all.
func eachOrOne(t *testing.T, kind string, test func(t *testing.T, prog peer.Program)) {
	t.Helper()
	if os.Getenv("LBMEDIC_MATRIX") == "full" {
		peertest.Each(t, kind, test)
		return
	}
	name := fnv.New32a()
	name.Write([]byte(t.Name()))
	of := versions[kind]
	prog := peertest.Version(t, kind, of[name.Sum32()%uint32(len(of))])
	t.Run(prog.Name, func(t *testing.T) { test(t, prog) })
}
