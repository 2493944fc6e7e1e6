package journal

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// A real tmpfs of 64 KiB, mounted where only the child sees it.
func TestAFullDiskCostsNoRecord(t *testing.T) {
	cmd := childCommand("full", t.TempDir(), "")
	cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	var said strings.Builder
	cmd.Stderr = &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || strings.Contains(said.String(), errMount.Error()) {
		if os.Geteuid() == 0 && os.Getenv("LBMEDIC_REQUIRE_PEERS") == "1" {
			t.Fatalf("no private tmpfs: %v %s", err, said.String())
		}
		t.Skipf("no private tmpfs: %v %s", err, said.String())
	}
	if err != nil {
		t.Fatal(said.String())
	}
}

var errMount = errors.New("mount a tmpfs")

func fullDisk(dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		return fmt.Errorf("%w: %w", errMount, err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 20<<10), 0o600); err != nil {
		return err
	}
	j, _, err := Open(dir, Settings{Keep: 4})
	if err != nil {
		return err
	}
	var written []Record
	for err == nil {
		var r Record
		r, err = j.Append("take", strings.Repeat("x", 3000))
		if err == nil {
			written = append(written, r)
		}
		if len(written) == 3 && err == nil {
			err = j.Checkpoint(r.Seq, "three")
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrBroken) || len(written) < 5 {
		return fmt.Errorf("after %d records: %w", len(written), err)
	}
	last := written[len(written)-1].Seq
	if err := j.Checkpoint(last, strings.Repeat("y", 3000)); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("checkpoint on a full disk: %w", err)
	}
	if err := same(dir, j, written, 3); err != nil {
		return fmt.Errorf("while the disk is full: %w", err)
	}
	if err := j.Close(); err != nil {
		return err
	}

	// What a crash in the middle of a write leaves is cut off although there is no room to keep it.
	torn, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, werr := torn.Write(make([]byte, 3000))
	if err := torn.Close(); err != nil || !errors.Is(werr, syscall.ENOSPC) {
		return fmt.Errorf("tear the journal: %w, %w", err, werr)
	}
	j, rec, err := Open(dir, Settings{Keep: 4})
	if err != nil || rec.Incomplete {
		return fmt.Errorf("open on a full disk: %+v, %w", rec, err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	r, err := j.Append("take", "again")
	if err != nil {
		return fmt.Errorf("once there is room: %w", err)
	}
	if err := same(dir, j, append(written, r), 3); err != nil {
		return fmt.Errorf("once there is room: %w", err)
	}
	if err := j.Close(); err != nil {
		return err
	}
	return readOnly(dir, append(written, r))
}

// readOnly expects that a read-only disk can be looked at and not worked on.
func readOnly(dir string, written []Record) error {
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=64k"); err != nil {
		return fmt.Errorf("%w: remount: %w", errMount, err)
	}
	if _, _, err := Open(dir, Settings{}); !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("open on a read-only disk: %w", err)
	}
	got, err := History(dir, 0, 100)
	if err != nil || !reflect.DeepEqual(got, written[len(written)-len(got):]) {
		return fmt.Errorf("history on a read-only disk: %d records, %w", len(got), err)
	}
	return nil
}

// same holds what is readable, now and from outside, against what was acknowledged.
func same(dir string, j *Journal, written []Record, seq uint64) error {
	got, err := j.Read(seq, 1000)
	if err != nil || !reflect.DeepEqual(got, written[seq:]) {
		return fmt.Errorf("read %d records of %d, %w", len(got), len(written)-int(seq), err)
	}
	rec, err := Inspect(dir)
	if err != nil || rec.Seq != seq || len(rec.Damage) > 0 || !reflect.DeepEqual(rec.Records, written[seq:]) {
		return fmt.Errorf("inspect: checkpoint %d, %d records, damage %v, %w", rec.Seq, len(rec.Records), rec.Damage, err)
	}
	return nil
}
