package check

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/healthd"
)

// diskKind holds the room on a file system against limits.
var diskKind = Kind{
	Doc:         "the file system of a folder has room and inodes left, and takes writes",
	Target:      Option{Doc: "a folder or file on it", Type: Path},
	Measurement: "used",
	Impact:      healthd.Degrade,
	Example:     "{disk: /var, warn: 90%, fail: 97%, free_fail: 500MiB}",
	Options: []Option{
		{Key: "warn", Doc: "warns above this share in use, of what is not kept for root", Type: Percent, Default: []string{"90%"}},
		{Key: "fail", Doc: "fails above it", Type: Percent, Default: []string{"97%"}},
		{Key: "free_warn", Doc: "warns below this much room, such as 2GiB", Type: Text},
		{Key: "free_fail", Doc: "fails below it", Type: Text},
		{Key: "inodes_warn", Doc: "warns above this share of inodes in use", Type: Percent, Default: []string{"90%"}},
		{Key: "inodes_fail", Doc: "fails above it", Type: Percent, Default: []string{"97%"}},
		{Key: "read_only", Doc: "true where it may be mounted read-only, which fails otherwise", Type: Bool, Default: []string{"false"}},
		{Key: "mounted", Doc: "true where something must be mounted at the folder itself", Type: Bool, Default: []string{"false"}},
	},
	New: newDisk,
}

// diskRule is what a file system is held against.
type diskRule struct {
	used, free, inodes limits // of free: bytes, negated
	readOnly, mounted  bool
}

// diskState is what the kernel says of the file system that holds path.
type diskState struct {
	fs    unix.Statfs_t
	mount bool // something is mounted at path
	err   error
}

func newDisk(s Settings) (Probe, error) {
	used, err := limitsOf(s, "warn", "fail", number)
	inodes, err2 := limitsOf(s, "inodes_warn", "inodes_fail", number)
	// Less is worse: negated, they are in order like the others.
	free, err3 := limitsOf(s, "free_warn", "free_fail", func(text string) (float64, error) {
		n, err := parseBytes(text)
		return -n, err
	})
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	rule := diskRule{used, free, inodes, s.Bool("read_only"), s.Bool("mounted")}
	var kernel patient[diskState]
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		path := s.Target()
		state, err := kernel.call(ctx, func() diskState { return readDisk(path) })
		if err != nil {
			return hung(ctx, start, path, err)
		}
		if errors.Is(state.err, unix.ENOENT) {
			return concluded(start, bad("%s is not there", path))
		}
		if state.err != nil {
			return notSeen(ctx, start, fmt.Errorf("look at %s: %w", path, state.err))
		}
		return concluded(start, rule.judge(path, state)...).Measured(usedOf(state.fs), "percent")
	}, nil
}

// hung is the outcome of a probe whose call into the kernel did not return in time.
func hung(ctx context.Context, start time.Time, path string, err error) healthd.Outcome {
	if errors.Is(ctx.Err(), context.Canceled) {
		return notSeen(ctx, start, err)
	}
	return concluded(start, finding{healthd.TimedOut, path + " does not answer; its file system hangs, as one does whose server is gone"})
}

func readDisk(path string) (d diskState) {
	if d.err = unix.Statfs(path, &d.fs); d.err == nil {
		d.mount, d.err = isMounted(path)
	}
	return d
}

// isMounted reports whether something is mounted at path, or at what a symbolic link there points at. The kernel says so since Linux 5.8. Before
// that it shows by another device than that of the folder above, which leaves a bind mount of the same file system unseen.
func isMounted(path string) (bool, error) {
	var here unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_BASIC_STATS, &here)
	if err == nil && here.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return here.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
	}
	return mountedByDevice(path)
}

func mountedByDevice(path string) (bool, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false, err
	}
	var here, above unix.Stat_t
	if err := errors.Join(unix.Stat(real, &here), unix.Stat(filepath.Dir(real), &above)); err != nil {
		return false, err
	}
	return here.Dev != above.Dev || real == "/", nil
}

// usedOf is the share in use as df tells it: of what is not kept for root.
func usedOf(f unix.Statfs_t) float64 {
	used := float64(f.Blocks - min(f.Bfree, f.Blocks))
	return share(used, used+float64(f.Bavail))
}

func (r diskRule) judge(path string, d diskState) []finding {
	size := float64(max(d.fs.Frsize, 1)) // of FUSE and some network file systems f_bsize is another size than that of a block
	left := float64(d.fs.Bavail) * size
	total := float64(d.fs.Blocks) * size
	used := usedOf(d.fs)
	found := []finding{r.used.judge(used, fmt.Sprintf("%s is %s full (%s of %s left)", path, percent(used), bytesText(left), bytesText(total)), percent)}
	if r.free.set() {
		found = append(found, r.free.judgeLeft(left, fmt.Sprintf("%s has %s left", path, bytesText(left)), bytesText))
	}
	if d.fs.Files > 0 { // btrfs and some network file systems count none
		inodes := share(float64(d.fs.Files-min(d.fs.Ffree, d.fs.Files)), float64(d.fs.Files))
		if f := r.inodes.judge(inodes, fmt.Sprintf("%s of the inodes of %s are in use (%d of %d left)", percent(inodes), path, d.fs.Ffree, d.fs.Files), percent); f.class != healthd.OK {
			found = append(found, f)
		}
	}
	if d.fs.Flags&unix.ST_RDONLY != 0 && !r.readOnly {
		found = append(found, bad("%s is mounted read-only, as the kernel does after errors of the disk", path))
	}
	if !d.mount && r.mounted {
		found = append(found, bad("nothing is mounted at %s", path))
	}
	return found
}
