package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// fileKind looks at a file's age and size, such as those of a heartbeat that an application touches, or of a marker that must not be there.
var fileKind = Kind{
	Doc:         "a file is there, neither too old nor too new, neither too small nor too big, or is not there",
	Target:      Option{Doc: "the file", Type: Path},
	Measurement: "age",
	Example:     "{file: /run/app/heartbeat, max_age: 30s}",
	Options: []Option{
		{Key: "exists", Doc: "false where it must not be there", Type: Bool, Default: []string{"true"}},
		{Key: "max_age", Doc: "fails where it was changed longer ago", Type: Duration},
		{Key: "warn_age", Doc: "warns where it was changed longer ago", Type: Duration},
		{Key: "min_age", Doc: "fails where it was changed more recently", Type: Duration},
		{Key: "min_size", Doc: "fails where it is smaller, such as 1KiB", Type: Text},
		{Key: "max_size", Doc: "fails where it is bigger", Type: Text},
		{Key: "follow", Doc: "false where a symbolic link is not taken for what it points at", Type: Bool, Default: []string{"true"}},
	},
	New: newFile,
}

// fileRule is what a file is held against.
type fileRule struct {
	age, size       limits // seconds, bytes
	minAge, minSize float64
}

// fileState is what the kernel says of a file.
type fileState struct {
	info fs.FileInfo
	err  error
}

func newFile(s Settings) (Probe, error) {
	seconds := func(text string) (float64, error) {
		d, err := time.ParseDuration(text)
		return d.Seconds(), err
	}
	age, err := limitsOf(s, "warn_age", "max_age", seconds)
	least, err2 := limitsOf(s, "min_size", "max_size", parseBytes)
	err3 := error(nil)
	if !s.Bool("exists") && (age.set() || least.set() || s.Has("min_age")) {
		err3 = KeyError{"exists", errors.New("what is not there has neither an age nor a size")}
	}
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	rule := fileRule{age: age, size: limits{math.NaN(), least.fail}, minAge: s.Duration("min_age").Seconds(), minSize: least.warn}
	look := os.Stat
	if !s.Bool("follow") {
		look = os.Lstat
	}
	path, wanted := s.Target(), s.Bool("exists")
	var kernel patient[fileState]
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		state, err := kernel.call(ctx, func() (f fileState) { f.info, f.err = look(path); return f })
		absent := errors.Is(state.err, fs.ErrNotExist)
		switch {
		case err != nil:
			return hung(ctx, start, path, err)
		case absent && wanted:
			return concluded(start, bad("%s is not there", path))
		case absent:
			return concluded(start, fine("%s is not there", path))
		case state.err != nil:
			return notSeen(ctx, start, fmt.Errorf("look at %s: %w", path, state.err))
		case !wanted:
			return concluded(start, bad("%s is there, and should not be", path))
		}
		age := start.Sub(state.info.ModTime()).Seconds()
		return concluded(start, rule.judge(path, state.info, age)...).Measured(age, "s")
	}, nil
}

func (r fileRule) judge(path string, info fs.FileInfo, age float64) []finding {
	ago := func(seconds float64) string {
		return (time.Duration(seconds*1000) * time.Millisecond).Round(time.Second).String()
	}
	changed := fmt.Sprintf("%s was changed %s ago", path, ago(age))
	found := []finding{r.age.judge(age, changed, ago)}
	if info.Mode()&fs.ModeSymlink != 0 {
		found = append(found, bad("%s is a symbolic link, which is not followed", path))
	}
	// A time in the future is told: by a clock that was set back, a heartbeat would stay young for ever.
	if age < -1 {
		found = append(found, doubtful("%s was changed %s in the future; a clock was set back", path, ago(-age)))
	} else if r.minAge > 0 && age < r.minAge {
		found = append(found, bad("%s, fails below %s", changed, ago(r.minAge)))
	}
	size := float64(info.Size())
	found = append(found, r.size.judge(size, fmt.Sprintf("it has %s", bytesText(size)), bytesText))
	if size < r.minSize {
		found = append(found, bad("%s has %s, fails below %s", path, bytesText(size), bytesText(r.minSize)))
	}
	return found
}
