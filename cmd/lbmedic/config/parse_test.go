package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what is reported into testdata")

// environment is what references find in tests.
func environment(dir string) func(string) (string, bool) {
	values := map[string]string{
		"APP_PORT": "8080", "PASSWORD": "hunter2", "EMPTY": "", "RISE": "3", "CREDENTIALS_DIRECTORY": dir,
	}
	return func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
}

// Each archive in testdata/mistakes is a configuration and the whole report about it.
func TestMistakesAreAllReportedAtTheirPlaces(t *testing.T) {
	archives, err := filepath.Glob("testdata/mistakes/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives in testdata/mistakes", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil || len(archive.Files) != 2 {
				t.Fatalf("%s: want the files lbmedic.yaml and report: %v", path, err)
			}
			_, err = parse("lbmedic.yaml", archive.Files[0].Data, environment(""))
			var mistakes Errors
			if !errors.As(err, &mistakes) {
				t.Fatalf("no mistakes found, error %v", err)
			}
			got := mistakes.Report()
			if *update {
				archive.Files[1].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := string(archive.Files[1].Data); got != want {
				t.Errorf("reported:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := parse("lbmedic.yaml", []byte(text), environment(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheExampleOfTheDesignIsRead(t *testing.T) {
	got, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got.shown = nil
	observe := Policy{
		Mode:     ModeObserve,
		Capacity: Capacity{MinPercent: 50, MaxEjectedPercent: 10},
		Hash:     HashRefuse,
		Reload:   Reload{Spacing: 30 * time.Second, MaxOldWorkers: 4},
	}
	inside := observe
	inside.Mode, inside.Capacity.MinPercent = ModeEnforce, 60
	want := &Config{
		File: "testdata/example.yaml",
		Health: &Health{
			Files:     []string{"testdata/example.yaml"},
			HTTP:      netip.MustParseAddrPort("0.0.0.0:7780"),
			Agent:     netip.MustParseAddrPort("0.0.0.0:7781"),
			Balancers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
			OnTerm:    OnTermDrain, TermTimeout: 30 * time.Second, DrainAs: DrainAsWeight, DrainWait: 30 * time.Second,
			Services: []Service{{
				Name: "web", Address: "127.0.0.1:8080", MinWeight: 25,
				Checks: []Check{
					{
						Name: "app", Kind: "http", Target: []string{"http://127.0.0.1:8080/healthz"},
						Options:  map[string][]string{"method": {"GET"}, "status": {"200-399"}},
						Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3,
						Latency: Latency{Warn: 250 * time.Millisecond, Of: "each", Impact: ImpactDegrade}, Impact: ImpactRequired,
					},
					{
						Name: "sessions", Kind: "tcp", Target: []string{"127.0.0.1:6379"}, Options: map[string][]string{"tls": {"false"}}, Latency: Latency{Of: "each", Impact: ImpactDegrade},
						Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3, Impact: ImpactDegrade, Shared: true,
					},
				},
			}},
		},
		Balancers: []Balancer{
			{
				Name: "edge", Policy: observe,
				HAProxy: &HAProxy{
					Config: []string{"/etc/haproxy/haproxy.cfg"}, Socket: "/run/haproxy/admin.sock",
					MasterSocket: "/run/haproxy-master.sock", Program: "/usr/sbin/haproxy",
				},
			},
			{
				Name: "internal", Policy: inside, Sidecar: "http://{address}:7780/health/by-port/{port}",
				Nginx: &Nginx{Config: "/etc/nginx/nginx.conf", Program: "/usr/sbin/nginx"},
			},
		},
		Policy: observe,
		Consul: &Consul{Address: "127.0.0.1:8500", TokenFile: "/etc/lbmedic/consul.token"},
		Admin:  Admin{Socket: "/run/lbmedic/admin.sock", HTTP: netip.MustParseAddrPort("127.0.0.1:7783")},
		State:  "/var/lib/lbmedic",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read:\n%+v\nwant:\n%+v", got, want)
	}
	if p := got.PolicyFor("internal"); p != inside {
		t.Errorf("policy of internal: %+v", p)
	}
	if p := got.PolicyFor("elsewhere"); p != observe {
		t.Errorf("policy of an unknown balancer: %+v", p)
	}
}

func TestDefaultListensOnLoopbackAndObserves(t *testing.T) {
	c := Default()
	for name, addr := range map[string]netip.AddrPort{"http": c.Health.HTTP, "agent": c.Health.Agent, "admin": c.Admin.HTTP} {
		if !addr.Addr().IsLoopback() {
			t.Errorf("%s listens on %s", name, addr)
		}
	}
	if c.Policy.Mode != ModeObserve || len(c.Balancers) != 0 || len(c.Health.Services) != 0 || c.Consul != nil {
		t.Errorf("default: %+v", c)
	}
}

func TestNoSectionNoPart(t *testing.T) {
	c := mustParse(t, "balancers: {edge: {nginx: {}}}")
	if c.Health != nil || c.Consul != nil {
		t.Errorf("a file without health and consul has %+v, %+v", c.Health, c.Consul)
	}
	c = mustParse(t, "health:\n  http: off\n")
	if c.Health.HTTP.IsValid() || !c.Health.Agent.IsValid() {
		t.Errorf("http: off gave %+v", c.Health)
	}
}

func TestAMissingFileIsNotAMistakeInIt(t *testing.T) {
	_, err := Load("testdata/nowhere.yaml")
	var mistakes Errors
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &mistakes) {
		t.Errorf("error %v", err)
	}
}

func TestTheTimeoutFollowsAShortInterval(t *testing.T) {
	c := mustParse(t, "health: {services: {a: {checks: {x: {tcp: 'h:1', interval: 500ms}, y: {tcp: 'h:1', interval: 3s}}}}}")
	checks := c.Health.Services[0].Checks
	if checks[0].Timeout != 250*time.Millisecond || checks[1].Timeout != time.Second {
		t.Errorf("timeouts %s, %s", checks[0].Timeout, checks[1].Timeout)
	}
}

func TestTheFloorComesBackWhenItsOverrideEnds(t *testing.T) {
	c := mustParse(t, "balancers: {edge: {nginx: {}, policy: {capacity: {min_percent: 0, no_floor_until: 2026-12-31}}}}")
	capacity := c.PolicyFor("edge").Capacity
	end := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]int{end.Add(-time.Second): 0, end: DefaultMinPercent, end.Add(time.Hour): DefaultMinPercent} {
		if got := capacity.MinPercentAt(at); got != want {
			t.Errorf("at %s the floor is %d, want %d", at, got, want)
		}
	}
}

func TestAliasesAndMergedKeys(t *testing.T) {
	c := mustParse(t, `
health:
  services:
    a:
      checks:
        x: &slow {tcp: "h:1", interval: 10s, impact: degrade}
        y: {<<: *slow, impact: inform}
        z: *slow
`)
	checks := c.Health.Services[0].Checks
	if checks[1].Interval != 10*time.Second || checks[1].Impact != ImpactInform || checks[2].Impact != ImpactDegrade {
		t.Errorf("checks %+v", checks)
	}
}

// A file of aliases to aliases stands for 10^6 checks.
func TestABombOfAliasesIsRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("health:\n  services:\n    s0:\n      checks: &all\n")
	for i := range 1000 {
		b.WriteString("        c" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + ": {tcp: 'h:1'}\n")
	}
	for i := range 1000 {
		b.WriteString("    t" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + ": {checks: *all}\n")
	}
	start := time.Now()
	_, err := Parse("bomb.yaml", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "stand for more than") {
		t.Errorf("error %.200v", err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %s", took)
	}
}

// 10,000 checks are a configuration, in braces or in lines, in many services or in one.
func TestTenThousandChecksAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		check string
		each  int // service
	}{
		"in braces, services of 100": {"        c%d: {http: 'http://127.0.0.1/%[1]d', interval: 5s, rise: 1, fall: 2}\n", 100},
		"in lines, services of 100":  {"        c%d:\n         tcp: h:1\n         interval: 5s\n         timeout: 2s\n         rise: 1\n", 100},
		"one service":                {"        c%d: {tcp: 'h:1', impact: degrade}\n", 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			b.WriteString("health:\n  services:\n")
			for i := range 10_000 {
				if i%c.each == 0 {
					fmt.Fprintf(&b, "    s%d:\n      checks:\n", i/c.each)
				}
				fmt.Fprintf(&b, c.check, i)
			}
			start := time.Now()
			read, err := Parse("f", []byte(b.String()))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(read.Health.Services) * len(read.Health.Services[0].Checks); n != 10_000 {
				t.Errorf("%d checks", n)
			}
			t.Logf("%s for %d KiB", time.Since(start), b.Len()>>10)
		})
	}
}

// Each shape is near the longest file. The bounds keep each within a second or two; one of them took 88 without.
func TestHostileShapesEndQuickly(t *testing.T) {
	const n = maxFile - 16
	cases := map[string]string{
		"brackets":               strings.Repeat("[", n),
		"braces":                 strings.Repeat("{a: ", n/4),
		"dashes":                 strings.Repeat("- ", n/2),
		"questions":              strings.Repeat("? ", n/2),
		"anchors":                strings.Repeat("&a ", n/3),
		"tags":                   strings.Repeat("!a ", n/3),
		"one scalar":             strings.Repeat("x", n),
		"quoted":                 `a: "` + strings.Repeat("x", n),
		"many keys":              strings.Repeat("k: v\n", n/5),
		"empty keys":             strings.Repeat("k:\n", 200_000),
		"as many keys as may be": strings.Repeat("k:\n", maxKeys-1),
		"many sections":          strings.Repeat("k:\n"+strings.Repeat(" k:\n", 12_000), 20),
		"keys with anchors":      shifted(n, "&", "a k: v\n"),
		"keys over lines":        shifted(n, "\"k\n", "\": v\n"),
		"keys in braces":         shifted(n, "{k: [\n", "]}: v\n"),
		"values in braces":       strings.Repeat("k: {\nk: v,\nk: v}\n", n/19),
		"many dashes":            strings.Repeat("- v\n", n/4),
		"commas":                 "a: [" + strings.Repeat("x,", n/2-4) + "]",
		"comments":               strings.Repeat("#\n", n/2),
		"empty lines":            strings.Repeat("\n", n),
		"binary":                 strings.Repeat("\x7fELF", n/4),
		"too long":               strings.Repeat("x", 2*maxFile),
		"colons":                 strings.Repeat("a: ", n/3),
		"staircase":              staircase(1000),
		"bad lines":              strings.Repeat("a: b: c\n", n/8),
		"brackets per line":      strings.Repeat("a: [\n", n/5),
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("hostile.yaml", []byte(text))
			var mistakes Errors
			if !errors.As(err, &mistakes) || len(mistakes) == 0 || len(mistakes) > maxErrors+1 {
				t.Errorf("%d mistakes, error %.300v", len(mistakes), err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			} else {
				t.Logf("%s, %d mistakes, first %.120s", took, len(mistakes), mistakes[0])
			}
		})
	}
}

// shifted repeats a line with fewer and fewer spaces in its middle.
func shifted(length int, before, after string) string {
	var b strings.Builder
	for i := 0; b.Len() < length-len(before)-len(after)-100; i++ {
		b.WriteString(before + strings.Repeat(map[bool]string{true: "a", false: " "}[before == "&"], 99-i%100) + after)
	}
	return b.String()
}

func staircase(steps int) string {
	var b strings.Builder
	for i := range steps {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// What a program keeps is small, whatever the file was, and lacks no setting.
func TestWhatIsKeptOfAConfigurationIsItsSettings(t *testing.T) {
	c, err := Parse("f", []byte("health:\n  on_term: leave\n  services: {web: {checks: {app: {tcp: 'h:1'}}}}\nstate: /tmp/x\n"))
	if err != nil {
		t.Fatal(err)
	}
	kept := c.Settled()
	if kept.shown != nil || len(kept.Health.Services) != 0 || len(c.Health.Services) != 1 || c.shown == nil {
		t.Errorf("kept %+v of %+v", kept, c)
	}
	kept.shown, kept.Health.Services = c.shown, c.Health.Services
	if !reflect.DeepEqual(kept, c) {
		t.Errorf("kept %+v of %+v", kept, c)
	}
}
