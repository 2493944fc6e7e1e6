package journal

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// filesystem are the calls that leave something behind for the next start to find. A child is killed before and after
// each of them.
var filesystem = []uint64{
	syscall.SYS_WRITE, syscall.SYS_PWRITE64, syscall.SYS_FSYNC, syscall.SYS_FDATASYNC, syscall.SYS_FTRUNCATE,
	syscall.SYS_RENAMEAT, sysRenameat2, syscall.SYS_UNLINKAT, syscall.SYS_OPENAT, syscall.SYS_FLOCK, syscall.SYS_FCHMOD,
	syscall.SYS_FCHOWN, syscall.SYS_MKDIRAT,
}

const sysRenameat2 = 316

// The children open, append 11 records with a checkpoint after the 5th and the 10th, and close. One is killed at its
// first call, the next at its second, and so on; each time the directory must hold what was acknowledged, and every
// third time one more start, itself killed at some call, must change nothing about that.
func TestAKillAtAnySystemCallLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts some hundred processes")
	}
	runtime.LockOSThread() // the kernel knows the tracer by its thread
	defer runtime.UnlockOSThread()
	stops := 0
	for ; ; stops++ {
		dir := memoryDir(t)
		acked, ended := killAt(t, dir, "11", stops, nil)
		holds(t, dir, acked, acked+1, fmt.Sprintf("killed at call %d", stops))
		if ended {
			break
		}
		if stops%3 != 0 {
			continue
		}
		again, _ := killAt(t, dir, "2", stops%41, nil)
		holds(t, dir, max(acked, again), max(acked+1, again)+1, fmt.Sprintf("killed at call %d, and again at %d", stops, stops%41))
	}
	if stops < 100 {
		t.Errorf("only %d entries and returns were seen", stops)
	}
	t.Logf("killed at each of %d entries and returns", stops)
}

// A killed process leaves its pages to the kernel, so that a missing sync shows only in the calls: before each
// acknowledgement the last thing done to a file must be a sync, and before that the write.
func TestEveryAcknowledgementFollowsASync(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var calls []uint64
	acked, ended := killAt(t, t.TempDir(), "7", 1<<30, func(call, fd uint64) {
		if call == syscall.SYS_WRITE && fd != 1 || !slices.Contains(filesystem, call) {
			return
		}
		if n := len(calls); n == 0 || calls[n-1] != call { // its entry, not its return
			calls = append(calls, call)
		}
	})
	acks := 0
	for i, call := range calls[2:] {
		if call != syscall.SYS_WRITE {
			continue
		}
		before := calls[i : i+2]
		if opened := acks == 0 && before[1] != syscall.SYS_FDATASYNC; !opened && !slices.Equal(before, []uint64{syscall.SYS_PWRITE64, syscall.SYS_FDATASYNC}) {
			t.Errorf("acknowledgement %d follows the calls %v", acks, before)
		}
		acks++
	}
	if acked != 7 || !ended || acks != 8 { // one for having opened
		t.Errorf("%d acknowledgements of %d records in %v", acks, acked, calls)
	}
}

// holds expects at least n records, and at most the one more of each start that was written and not yet acknowledged.
func holds(t *testing.T, dir string, n, most uint64, when string) {
	t.Helper()
	rec, err := Inspect(dir)
	if n == 0 && errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if s, err := fold(rec); err != nil || s.N < n || s.N > most {
		t.Fatalf("%s: %d to %d records expected, %d there, %v", when, n, most, s.N, err)
	}
}

// killAt runs a child under ptrace and kills it at the entry or the return of its stop-th call that touches the state
// directory's file system; see, unless nil, sees every call on the way. It gives the last number that the child acknowledged, and whether it got to its end.
func killAt(t *testing.T, dir, count string, stop int, see func(call, fd uint64)) (acked uint64, ended bool) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := childCommand("loop", dir, count)
	cmd.Env = append(cmd.Env, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	cmd.Stdout = write
	cmd.SysProcAttr.Ptrace = true
	err = cmd.Start()
	if cerr := write.Close(); cerr != nil {
		t.Fatal(cerr)
	}
	if err != nil {
		if os.Getenv("LBMEDIC_REQUIRE_PEERS") == "1" {
			t.Fatalf("trace a child: %v", err)
		}
		t.Skipf("trace a child: %v", err)
	}
	ended = trace(t, cmd.Process.Pid, stop, see)
	if err := cmd.Process.Release(); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 4096)
	n, err := read.Read(out) // all of it: the child is gone and what it prints fits into the pipe
	if err != nil && n > 0 {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out[:max(0, n)])) {
		if _, err := fmt.Sscanf(line, "%d", &acked); err != nil && line != "open\n" {
			t.Fatalf("the child says %q", out[:n])
		}
	}
	return acked, ended
}

// trace lets a child run from call to call until the stop-th of filesystem, and kills it there.
func trace(t *testing.T, pid, stop int, see func(call, fd uint64)) (ended bool) {
	t.Helper()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	const exitKill = 0x100000 // PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(pid, syscall.PTRACE_O_TRACECLONE|syscall.PTRACE_O_TRACESYSGOOD|exitKill); err != nil {
		t.Fatal(err)
	}
	goOn(t, pid, 0)
	killed := false
	for {
		thread, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case status.Exited() || status.Signaled():
			if thread != pid {
				continue
			}
			if status.Exited() && status.ExitStatus() != 0 {
				t.Fatalf("the child ended with status %d", status.ExitStatus())
			}
			return !killed
		case status.StopSignal() == syscall.SIGTRAP|0x80: // at the entry of a call, or at its return
			var regs syscall.PtraceRegs
			if err := syscall.PtraceGetRegs(thread, &regs); err != nil {
				continue // it was killed meanwhile
			}
			if see != nil {
				see(regs.Orig_rax, regs.Rdi)
			}
			if slices.Contains(filesystem, regs.Orig_rax) {
				stop--
			}
			if stop < 0 && !killed {
				killed = true
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			goOn(t, thread, 0)
		case status.StopSignal() == syscall.SIGTRAP || status.StopSignal() == syscall.SIGSTOP:
			goOn(t, thread, 0)
		default:
			goOn(t, thread, int(status.StopSignal()))
		}
	}
}

// goOn lets a thread run up to its next call. A thread that was killed has none.
func goOn(t *testing.T, thread, signal int) {
	t.Helper()
	if err := syscall.PtraceSyscall(thread, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}
