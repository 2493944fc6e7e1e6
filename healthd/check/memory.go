package check

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// memoryKind holds the memory of the host, or of a cgroup, against limits.
var memoryKind = Kind{
	Doc:         "the memory in use, the swap, the pressure on memory and the kills for lack of it are within limits",
	Target:      Option{Doc: "whose memory: that of the host, or of a cgroup (v2)", Type: Word, Words: []string{"host", "cgroup"}},
	Measurement: "used",
	Impact:      healthd.Degrade,
	Example:     "{memory: host, warn: 90%, fail: 97%, full_warn: 5%}",
	Options: slices.Concat([]Option{
		{Key: "warn", Doc: "warns above this share in use: of what MemAvailable leaves, or of memory.max without the page cache that can be dropped",
			Type: Percent, Default: []string{"90%"}},
		{Key: "fail", Doc: "fails above it", Type: Percent, Default: []string{"97%"}},
		{Key: "swap_warn", Doc: "warns above this share of the swap in use", Type: Percent},
		{Key: "swap_fail", Doc: "fails above it", Type: Percent},
		{Key: "oom", Doc: "what a process killed for lack of memory does", Type: Word, Words: []string{"ignore", "warn", "fail"}, Default: []string{"warn"}},
		{Key: "oom_hold", Doc: "for how long after it", Type: Duration, Min: 1, Max: 86400, Default: []string{"5m"}},
		{Key: "cgroup", Doc: "the folder of the cgroup, such as /sys/fs/cgroup/system.slice/app.service; by default that of lbmedic itself", Type: Path},
		procOption,
	}, pressureOptions),
	New: newMemory,
}

// memoryRule is what memory is held against.
type memoryRule struct {
	used, swap limits
	pressure   pressureRule
	oom        healthd.Class // OK is ignore
	oomHold    time.Duration

	kills  uint64 // as the last probe read them
	counts bool   // there was one
	killed recently
}

// memoryState is what a probe read. Its zero swapTotal is no swap.
type memoryState struct {
	what                 string // "memory", or that of which cgroup
	used, total          float64
	swapUsed, swapTotal  float64
	kills                uint64 // processes killed for lack of memory since the host, or the cgroup, was there
	pressure             string // the file that tells it
	unlimited, killsKept bool
}

func newMemory(s Settings) (Probe, error) {
	used, err := limitsOf(s, "warn", "fail", number)
	swap, err2 := limitsOf(s, "swap_warn", "swap_fail", number)
	stall, err3 := pressureRuleOf(s, "memory")
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	if s.Has("cgroup") && s.Target() == "host" {
		return nil, KeyError{"cgroup", errors.New("is of use with memory: cgroup only")}
	}
	rule := &memoryRule{used: used, swap: swap, pressure: stall, oomHold: s.Duration("oom_hold")}
	rule.oom = map[string]healthd.Class{"ignore": healthd.OK, "warn": healthd.Degraded, "fail": healthd.WrongAnswer}[s.Text("oom")]
	read := func() (memoryState, error) { return readHostMemory(s.Text("proc")) }
	if s.Target() == "cgroup" {
		read = func() (memoryState, error) { return readCgroupMemory(s.Text("cgroup"), s.Text("proc")) }
	}
	return func(ctx context.Context) healthd.Outcome {
		start := time.Now()
		m, err := read()
		if err != nil {
			return notSeen(ctx, start, err)
		}
		o := concluded(start, append(rule.judge(m, start), rule.pressure.judge(m.pressure)...)...)
		if m.unlimited {
			return o.Measured(m.used, "bytes")
		}
		return o.Measured(share(m.used, m.total), "percent")
	}, nil
}

func (r *memoryRule) judge(m memoryState, now time.Time) []finding {
	var found []finding
	if m.unlimited {
		found = append(found, fine("%s: %s in use, without a limit", m.what, bytesText(m.used)))
	} else {
		used := share(m.used, m.total)
		found = append(found, r.used.judge(used, m.what+" is "+percent(used)+" in use ("+bytesText(m.total-m.used)+" of "+bytesText(m.total)+" left)", percent))
	}
	if m.swapTotal > 0 && r.swap.set() {
		used := share(m.swapUsed, m.swapTotal)
		found = append(found, r.swap.judge(used, "swap is "+percent(used)+" in use of "+bytesText(m.swapTotal), percent))
	}
	if r.counts && m.killsKept && m.kills > r.kills {
		killed := fine("%d processes were killed for lack of memory at %s", m.kills-r.kills, now.UTC().Format(time.TimeOnly+"Z"))
		r.killed.see(now, r.oomHold, killed.detail)
	}
	r.kills, r.counts = m.kills, m.killsKept
	if text := r.killed.seen(now); text != "" && r.oom != healthd.OK {
		found = append(found, finding{r.oom, text})
	}
	return found
}

// readHostMemory reads /proc/meminfo and the count of kills in /proc/vmstat, which is there since Linux 4.13.
func readHostMemory(proc string) (memoryState, error) {
	info, err := readCounters(filepath.Join(proc, "meminfo"))
	if err != nil {
		return memoryState{}, err
	}
	total, ok := info["MemTotal"]
	available, ok2 := info["MemAvailable"]
	if !ok || !ok2 || total == 0 || available > total {
		return memoryState{}, errors.New(filepath.Join(proc, "meminfo") + " does not tell MemTotal and MemAvailable")
	}
	const kib = 1024
	m := memoryState{what: "memory", used: kib * float64(total-available), total: kib * float64(total), pressure: filepath.Join(proc, "pressure/memory")}
	m.swapTotal = kib * float64(info["SwapTotal"])
	m.swapUsed = m.swapTotal - kib*float64(min(info["SwapFree"], info["SwapTotal"]))
	if vm, err := readCounters(filepath.Join(proc, "vmstat")); err == nil {
		m.kills, m.killsKept = vm["oom_kill"]
	}
	return m, nil
}
