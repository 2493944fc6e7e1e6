package check

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"github.com/lbmedic/lbmedic/healthd"
)

// descriptorsKind holds the open files of this host, or of the processes of a program, against their limit.
var descriptorsKind = Kind{
	Doc:         "the file descriptors of this host, or of each process of a program, are below their limit",
	Target:      Option{Doc: "whose: those of the host, or of a process", Type: Word, Words: []string{"host", "process"}},
	Measurement: "used",
	Impact:      healthd.Degrade,
	Example:     "{descriptors: process, name: haproxy, warn: 80%}",
	Options: slices.Concat([]Option{
		{Key: "name", Doc: "the name of the program, as ps shows it", Type: Text},
		{Key: "warn", Doc: "warns above this share of the limit in use", Type: Percent, Default: []string{"80%"}},
		{Key: "fail", Doc: "fails above it", Type: Percent, Default: []string{"95%"}},
	}, processOptions),
	New: func(s Settings) (Probe, error) {
		used, err := limitsOf(s, "warn", "fail", number)
		q, err2 := processQueryOf(s, s.Text("name"))
		switch named := s.Has("name"); {
		case s.Target() == "process" && !named:
			err2 = KeyError{"name", errors.New("is missing; name the program whose descriptors are meant")}
		case s.Target() == "host" && (named || s.Has("pid_file") || s.Has("args") || s.Has("user")):
			err2 = errors.New("descriptors of the host belong to no process; write descriptors: process")
		}
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		read := func(context.Context) ([]descriptorUse, error) { return hostDescriptors(s.Text("proc")) }
		if s.Target() == "process" {
			read = q.descriptors
		}
		return func(ctx context.Context) healthd.Outcome {
			start := time.Now()
			all, err := read(ctx)
			if lost, ok := errors.AsType[processLost](err); ok {
				return concluded(start, bad("%s", string(lost)))
			}
			if err != nil {
				return notSeen(ctx, start, err)
			}
			// The one nearest to its limit stands for all.
			worst := slices.MaxFunc(all, func(a, b descriptorUse) int { return int(a.share()*1000) - int(b.share()*1000) })
			what := fmt.Sprintf("%s has %d descriptors open of %d, %s", worst.who, worst.open, worst.limit, percent(worst.share()))
			return concluded(start, used.judge(worst.share(), what, percent)).Measured(worst.share(), "percent")
		}, nil
	},
}

// descriptorUse is how many descriptors somebody has open.
type descriptorUse struct {
	who         string
	open, limit uint64
}

func (d descriptorUse) share() float64 { return share(float64(d.open), float64(d.limit)) }

func hostDescriptors(proc string) ([]descriptorUse, error) {
	raw, err := readSmall(filepath.Join(proc, "sys/fs/file-nr"))
	if err != nil {
		return nil, err
	}
	d, err := parseFileNr(string(raw))
	return []descriptorUse{d}, err
}

// parseFileNr reads /proc/sys/fs/file-nr: open, free of those that were allocated (always 0 since Linux 2.6), the limit.
func parseFileNr(text string) (descriptorUse, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return descriptorUse{}, errors.New("/proc/sys/fs/file-nr has not three numbers")
	}
	open, err := strconv.ParseUint(fields[0], 10, 64)
	limit, err2 := strconv.ParseUint(fields[2], 10, 64)
	if err := errors.Join(err, err2); err != nil {
		return descriptorUse{}, fmt.Errorf("/proc/sys/fs/file-nr: %w", err)
	}
	return descriptorUse{"this host", open, limit}, nil
}

// descriptors gives the use of each process that is meant.
func (q processQuery) descriptors(ctx context.Context) ([]descriptorUse, error) {
	found, blind, err := q.find(ctx)
	if _, lost := errors.AsType[processLost](err); lost && blind != nil {
		return nil, blind
	}
	if err != nil {
		return nil, err
	}
	host, err := procfs.NewFS(q.proc)
	if err != nil {
		return nil, err
	}
	var all []descriptorUse
	for _, p := range found {
		if !p.runs() {
			continue
		}
		use, err := descriptorsOf(host, p)
		if err != nil && !gone(err) {
			return nil, fmt.Errorf("count the descriptors of %s %d: %w; that takes root or the same user", q.name, p.pid, err)
		}
		if err == nil {
			use.who = fmt.Sprintf("%s %d", q.name, p.pid)
			all = append(all, use)
		}
	}
	if len(all) == 0 && blind != nil {
		return nil, blind
	}
	if len(all) == 0 {
		return nil, processLost("no " + q.name + " is running")
	}
	return all, nil
}

func descriptorsOf(host procfs.FS, p process) (descriptorUse, error) {
	proc, err := host.Proc(p.pid)
	if err != nil {
		return descriptorUse{}, err
	}
	open, err := proc.FileDescriptorsLen()
	if err != nil {
		return descriptorUse{}, err
	}
	bounds, err := proc.Limits()
	return descriptorUse{open: uint64(max(open, 0)), limit: bounds.OpenFiles}, err
}
