package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"lbmedic":  main,
		"stubborn": stubborn,
	})
}

// stubborn is a program that is told to stop and does not.
func stubborn() {
	ctx, _ := untilSignal(context.Background())
	interrupt := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			panic(err)
		}
	}
	interrupt()
	<-ctx.Done()
	fmt.Println(context.Cause(ctx))
	interrupt()
	select {}
}

// The stories in testdata/script run the program as a person does. `exits N COMMAND…` runs a command and looks at its
// exit status.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"LBMEDIC_CONFIG", "LBMEDIC_OUTPUT", "LBMEDIC_SOCKET", "NO_COLOR"} {
				env.Setenv(name, "")
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "unconfigured" { // this host has no configuration of its own
				return false, fmt.Errorf("unknown condition %s", name)
			}
			_, err := os.Stat(defaultConfigFile)
			return errors.Is(err, fs.ErrNotExist), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("exits: %v", err)
	}
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("exits: %v", err)
	}
	if got != want {
		ts.Fatalf("%q ended with status %d, want %d", args[1:], got, want)
	}
}
