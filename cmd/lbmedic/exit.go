package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
)

// Exit statuses of all commands but check, which has 0 pass, 1 warn, 2 fail, 3 unknown.
const (
	exitDone     = 0
	exitLocal    = 1 // a wrong flag, a wrong file, something on this host
	exitPeer     = 2 // a balancer, Consul or the daemon refused or failed
	exitFindings = 3 // done, and there is something to see to
)

// An exitError ends the program with a status of its own; any other error ends it with 1.
type exitError struct {
	code int
	err  error // what is printed; nil: everything was said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is a mistake in what was typed.
func usageError(format string, args ...any) error {
	return &exitError{code: exitLocal, err: fmt.Errorf(format, args...)}
}

// peerError is a balancer, Consul or the daemon that refused or failed.
func peerError(err error) error { return &exitError{code: exitPeer, err: err} }

// exitWith ends the program with a status and without a word: everything was said.
func exitWith(code int) error { return &exitError{code: code} }

// exit prints an error and turns it into the exit status.
func (a *app) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	var stopped stoppedBy
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &stopped) {
		return 128 + int(stopped.signal)
	}
	code := exitLocal
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
		if exit.err == nil {
			return code
		}
	}
	var mistakes config.Errors
	if errors.As(err, &mistakes) {
		fmt.Fprint(a.stderr, mistakes.Report())
		return code
	}
	fmt.Fprintln(a.stderr, "lbmedic: "+plain(strings.ReplaceAll(err.Error(), "\n", "; ")))
	return code
}
