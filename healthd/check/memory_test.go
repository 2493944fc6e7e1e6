package check

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

func TestMemoryIsJudged(t *testing.T) {
	calm, pressed := recorded(t, "calm"), recorded(t, "pressed")
	small, full, free := recorded(t, "cgroup_calm"), recorded(t, "cgroup_full"), recorded(t, "cgroup_free")
	for name, c := range map[string]struct {
		target string
		o      options
		class  healthd.Class
		detail string
	}{
		"plenty":               {"host", options{"proc": {calm}}, healthd.OK, "memory is 25% in use (6.0 GiB of 8.0 GiB left)"},
		"hardly any":           {"host", options{"proc": {pressed}}, healthd.WrongAnswer, "memory is 98% in use (164 MiB of 8.0 GiB left), fails above 97%"},
		"little":               {"host", options{"proc": {pressed}, "fail": {"99"}}, healthd.Degraded, "warns above 90%, fails above 99%"},
		"swap":                 {"host", options{"proc": {pressed}, "fail": {"99"}, "swap_fail": {"90%"}}, healthd.WrongAnswer, "swap is 99% in use of 2.0 GiB, fails above 90%"},
		"swap is free":         {"host", options{"proc": {calm}, "swap_warn": {"1%"}}, healthd.OK, "swap is 0% in use"},
		"thrashing":            {"host", options{"proc": {pressed}, "fail": {"99"}, "full_fail": {"20%"}}, healthd.WrongAnswer, "all tasks waited for memory 42.5% of 10s, fails above 20%"},
		"some pressure":        {"host", options{"proc": {pressed}, "warn": {"99"}, "fail": {"99"}, "some_warn": {"20%"}}, healthd.Degraded, "tasks waited for memory 61.2% of 10s, warns above 20%"},
		"this host":            {"host", options{"warn": {"100"}, "fail": {"100"}, "full_fail": {"100"}}, healthd.OK, "all tasks waited for memory"},
		"no meminfo":           {"host", options{"proc": {small}}, healthd.OwnFault, "meminfo: no such file"},
		"cgroup, page cache":   {"cgroup", options{"cgroup": {small}}, healthd.OK, "is 19.5% in use (824 MiB of 1.0 GiB left)"},
		"cgroup, full":         {"cgroup", options{"cgroup": {full}}, healthd.WrongAnswer, "is 99.8% in use"},
		"cgroup, pressure":     {"cgroup", options{"cgroup": {full}, "warn": {"100"}, "fail": {"100"}, "full_fail": {"50"}}, healthd.WrongAnswer, "all tasks waited for memory 70%"},
		"cgroup, no limit":     {"cgroup", options{"cgroup": {free}}, healthd.OK, "200 MiB in use, without a limit"},
		"cgroup, psi is off":   {"cgroup", options{"cgroup": {free}, "full_fail": {"50"}}, healthd.OwnFault, "boot it with psi=1"},
		"cgroup of version 1":  {"cgroup", options{"cgroup": {calm}}, healthd.OwnFault, "no cgroup of version 2"},
		"own cgroup, not here": {"cgroup", options{"proc": {calm}}, healthd.OwnFault, "/sys/fs/cgroup/system.slice/lbmedic.service"},
	} {
		t.Run(name, func(t *testing.T) { sees(t, prober(t, "memory", []string{c.target}, c.o)(), c.class, c.detail) })
	}
}

// A kill for lack of memory is over in a moment, but is told for a while; one from before the first probe is nobody's news.
func TestAKillForLackOfMemoryIsToldForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := recorded(t, "cgroup_calm")
		probe := prober(t, "memory", []string{"cgroup"}, options{"cgroup": {dir}, "oom": {"fail"}, "oom_hold": {"1m"}})
		write(t, filepath.Join(dir, "memory.events"), "oom_kill 7\n")
		sees(t, probe(), healthd.OK, "in use")
		write(t, filepath.Join(dir, "memory.events"), "oom_kill 9\n")
		sees(t, probe(), healthd.WrongAnswer, "2 processes were killed for lack of memory")
		time.Sleep(59 * time.Second)
		sees(t, probe(), healthd.WrongAnswer, "2 processes were killed for lack of memory")
		time.Sleep(2 * time.Second)
		sees(t, probe(), healthd.OK, "in use")
		write(t, filepath.Join(dir, "memory.events"), "oom_kill 1\n") // the unit was started anew
		sees(t, probe(), healthd.OK, "in use")
	})
}

func FuzzParseCgroup(f *testing.F) {
	f.Add([]byte("max\n"))
	f.Add([]byte("943718400\n"))
	f.Add([]byte("oom_kill 2\nanon -1\nMemTotal:       24684084 kB\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, limited, err := parseCgroupNumber(string(raw))
		if err == nil && (n < 0 || !limited && n != 0) {
			t.Errorf("parseCgroupNumber(%q) = %v, %v", raw, n, limited)
		}
		if len(parseCounters(raw)) > len(raw) {
			t.Errorf("more counters than bytes in %q", raw)
		}
	})
}
