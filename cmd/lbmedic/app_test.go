package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// terminal opens a pseudo terminal and returns the end that programs write to.
func terminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		peertest.Missing(t, "no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		peertest.Missing(t, "no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	return slave
}

func TestColoursOnlyOnATerminalThatWantsThem(t *testing.T) {
	tty := terminal(t)
	devNull, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer devNull.Close()
	cases := map[string]struct {
		app  app
		env  map[string]string
		want bool
	}{
		"terminal":        {app{stdout: tty}, nil, true},
		"file":            {app{stdout: devNull}, nil, false},
		"buffer":          {app{stdout: &bytes.Buffer{}}, nil, false},
		"--no-color":      {app{stdout: tty, noColor: true}, nil, false},
		"NO_COLOR":        {app{stdout: tty}, map[string]string{"NO_COLOR": "1"}, false},
		"NO_COLOR, empty": {app{stdout: tty}, map[string]string{"NO_COLOR": ""}, true},
		"TERM=dumb":       {app{stdout: tty}, map[string]string{"TERM": "dumb"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.app.getenv = func(name string) string { return c.env[name] }
			if got := c.app.colour(); got != c.want {
				t.Errorf("colours %v, want %v", got, c.want)
			}
		})
	}
}
