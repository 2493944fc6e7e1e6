package journal

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// sum is the state that the children of these tests keep: how many records there were and what they add up to.
type sum struct {
	N     uint64 `json:"n"`
	Total uint64 `json:"total"`
}

const childEnv = "LBMEDIC_JOURNAL_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		if err := child(role, os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// childCommand runs this test binary in another role.
func childCommand(role, dir, arg string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], dir, arg)
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	return cmd
}

func child(role, dir, arg string) error {
	switch role {
	case "loop":
		return appendLoop(dir, arg)
	case "full":
		return fullDisk(dir)
	}
	return errors.New("no role " + role)
}

// appendLoop appends up to COUNT records, with a checkpoint after every fifth, and prints each number once Append has
// returned it.
func appendLoop(dir, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	j, rec, err := Open(dir, Settings{Keep: 8})
	if err != nil {
		return err
	}
	s, err := fold(rec)
	if err != nil {
		return err
	}
	fmt.Println("open")
	for range n {
		r, err := j.Append("number", s.N+1)
		if err != nil {
			return err
		}
		fmt.Println(r.Seq)
		s = sum{s.N + 1, s.Total + s.N + 1}
		if s.N%5 == 0 {
			if err := j.Checkpoint(r.Seq, s); err != nil {
				return err
			}
		}
	}
	return j.Close()
}

// fold reads the state that a recovered journal leads to, and checks that no record is missing or invented.
func fold(rec Recovered) (sum, error) {
	var s sum
	if rec.Incomplete {
		return s, fmt.Errorf("incomplete: %v", rec.Damage)
	}
	if rec.State != nil {
		if _, err := fmt.Sscanf(string(rec.State), `{"n":%d,"total":%d}`, &s.N, &s.Total); err != nil {
			return s, err
		}
	}
	for _, r := range rec.Records {
		n, err := strconv.ParseUint(string(r.Body), 10, 64)
		if err != nil || n != s.N+1 {
			return s, fmt.Errorf("record %d holds %s behind %d", r.Seq, r.Body, s.N)
		}
		s = sum{n, s.Total + n}
	}
	if s.Total != s.N*(s.N+1)/2 {
		return s, fmt.Errorf("%d records add up to %d", s.N, s.Total)
	}
	return s, nil
}

func TestAfterKillEveryAcknowledgedRecordIsThere(t *testing.T) {
	dir := t.TempDir()
	acked := uint64(0)
	for round := range 20 {
		cmd := childCommand("loop", dir, "1000000")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		lines.Scan()
		if round == 0 {
			refusedNaming(t, dir, cmd.Process.Pid)
		}
		for range 1 + rand.IntN(40) {
			lines.Scan()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		last := lines.Text()
		for lines.Scan() { // what it still acknowledged before it died
			last = lines.Text()
		}
		_ = cmd.Wait() // killed, as ordered
		if acked, err = strconv.ParseUint(last, 10, 64); err != nil {
			t.Fatal(err)
		}
		rec, err := Inspect(dir)
		if err != nil {
			t.Fatal(err)
		}
		s, err := fold(rec)
		if err != nil || s.N < acked || s.N > acked+1 {
			t.Fatalf("round %d: %d records acknowledged, %d there, %v", round, acked, s.N, err)
		}
	}
}

// refusedNaming expects that the directory cannot be opened a second time, and that the error names the first.
func refusedNaming(t *testing.T, dir string, pid int) {
	t.Helper()
	_, _, err := Open(dir, Settings{})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != strconv.Itoa(pid) || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
		t.Errorf("a second open beside process %d: %v", pid, err)
	}
}
