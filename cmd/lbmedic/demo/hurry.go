package demo

import (
	"os"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// hurryPause is the time from one look for programs to kill to the next: one may be about to start.
const hurryPause = 20 * time.Millisecond

// hurry kills every program that this process started, with all that these started, from the time that told is closed.
// The ordinary clean-up then finds nothing to wait for, and removes the folder. The end is awaited by over.
func hurry(told <-chan struct{}) (over func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-stop:
			return
		case <-told:
		}
		tick := time.NewTicker(hurryPause)
		defer tick.Stop()
		for {
			killChildren()
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(stop); <-ended }
}

// killChildren kills the process group of each child that leads one. All of ours do, so that the workers of nginx, which
// live on without their master, go with it.
func killChildren() {
	processes, err := procfs.AllProcs()
	if err != nil {
		return // looked at again in a moment
	}
	for _, p := range processes {
		if s, err := p.Stat(); err == nil && s.PPID == os.Getpid() && s.PGRP == s.PID {
			_ = syscall.Kill(-s.PID, syscall.SIGKILL) // it may just have ended
		}
	}
}
