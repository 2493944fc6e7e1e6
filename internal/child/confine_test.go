package child

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAConfinedProgramGainsNothing(t *testing.T) {
	res, err := Command{Path: "/bin/grep", Args: []string{"NoNewPrivs", "/proc/self/status"}, Confine: &Confinement{}}.Run(t.Context())
	if err != nil || strings.Fields(string(res.Output))[1] != "1" {
		t.Errorf("got %q, %v", res.Output, err)
	}
	// The bit stays with the thread that started it.
	res, err = Command{Path: "/bin/grep", Args: []string{"NoNewPrivs", "/proc/self/status"}}.Run(t.Context())
	if err != nil || strings.Fields(string(res.Output))[1] != "0" {
		t.Errorf("after that, got %q, %v", res.Output, err)
	}
}

// The limits come a moment after the start, so the program waits for them.
func TestAConfinedProgramIsLimited(t *testing.T) {
	script := `i=0; while [ "$(ulimit -n)" != 77 ] && [ $i -lt 100000 ]; do i=$((i+1)); done; ulimit -n; ulimit -Hn; ulimit -c`
	limits := map[int]uint64{unix.RLIMIT_NOFILE: 77, unix.RLIMIT_CORE: 0}
	res, err := Command{Path: "/bin/sh", Args: []string{"-c", script}, Confine: &Confinement{Limits: limits}}.Run(t.Context())
	if err != nil || string(res.Output) != "77\n77\n0\n" {
		t.Errorf("got %q, %v", res.Output, err)
	}
}

func TestAConfinedProgramRunsAsSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("running as somebody else takes root")
	}
	res, err := Command{Path: "/usr/bin/id", Confine: &Confinement{User: &User{65534, 65534}, Limits: map[int]uint64{unix.RLIMIT_CORE: 0}}}.Run(t.Context())
	if out := string(res.Output); err != nil || !strings.HasPrefix(out, "uid=65534") || !strings.Contains(out, "gid=65534") || strings.Contains(out, "0(root)") {
		t.Errorf("got %q, %v", out, err)
	}
}

// A limit that cannot be set leaves no program behind that runs without it.
func TestAProgramThatCannotBeLimitedIsKilled(t *testing.T) {
	_, err := Command{Path: "/bin/sleep", Args: []string{"600"}, Confine: &Confinement{Limits: map[int]uint64{99: 1}}}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "limit resource 99") {
		t.Errorf("got %v", err)
	}
}
