package check

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// execMark is the variable by whose value in their environment the processes of one run are known, wherever they went.
const execMark = "LBMEDIC_EXEC"

// killMarked kills what a run left behind in a session of its own, where killing the process group does not reach it. It is best effort:
// a process that has cleared its environment is not known, and one of another user's is seen by root alone.
func killMarked(mark string) (killed int) {
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil { // of a bad pattern, which this is not
		return 0
	}
	for _, path := range environs {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		// Held before it is looked at, so that its number is not another's by the time of the signal.
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		environ, err := readPart(path, 64<<10)
		if err == nil && bytes.Contains(environ, []byte(execMark+"="+mark)) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
			killed++
		}
		_ = unix.Close(fd) // it held nothing that could be lost
	}
	return killed
}
