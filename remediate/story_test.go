package remediate

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// Each file below testdata/decide is a story: what is seen, a line "---", and the plan that must follow. Lines that begin
// with # say what it is about. UPDATE=1 writes the plans that were made; read them before you keep them.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/decide/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	told := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for i, story := range strings.Split(string(raw), "\n\n") {
				head, want, ok := strings.Cut(strings.Trim(story, "\n")+"\n", "\n---\n")
				if !ok {
					t.Fatalf("story %d has no line ---", i+1)
				}
				got := Decide(readStory(t, head)).String()
				if got != want && os.Getenv("UPDATE") == "" {
					t.Errorf("%s\ngot:\n%s\nwant:\n%s", head, got, want)
				}
				told = tell(told, got)
				fmt.Fprintf(&out, "%s\n---\n%s\n", head, got)
			}
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	for _, reason := range allReasons(t) {
		if !told[reason] && !toldElsewhere[Reason(reason)] {
			t.Errorf("no story tells %s", reason)
		}
	}
}

// Whoever reads a reason on a terminal finds it in the manual, and the manual names none that does not exist.
func TestEveryReasonIsInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, reason := range allReasons(t) {
		known[reason] = true
		if !strings.Contains(string(manual), "`"+reason+"`") {
			t.Errorf("docs/reasons.md does not name %s", reason)
		}
	}
	for line := range strings.Lines(string(manual)) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, word := range strings.Split(cell, ", ") {
			if strings.HasPrefix(line, "| `") && !known[strings.Trim(word, "`")] {
				t.Errorf("docs/reasons.md names %s, which does not exist", word)
			}
		}
	}
}

// toldElsewhere are reasons that Decide itself never gives.
var toldElsewhere = map[Reason]bool{
	ServerGone: true, BalancerRefused: true, ReleaseOrder: true, HoldUnknownServer: true,
}

func tell(told map[string]bool, plan string) map[string]bool {
	for line := range strings.Lines(plan) {
		if _, rest, ok := strings.Cut(line, ": "); ok {
			told[strings.Fields(rest)[0]] = true
		}
	}
	return told
}

// allReasons reads the constants of reason.go, so that a new one cannot be forgotten here.
func allReasons(t *testing.T) (reasons []string) {
	f, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons = append(reasons, s)
		}
		return true
	})
	if len(reasons) < 30 {
		t.Fatalf("found only %d reasons", len(reasons))
	}
	return reasons
}

var (
	storyNow = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	storyGen = Generation{PID: 7, Started: storyNow.Add(-time.Hour)}
	oldGen   = Generation{PID: 6, Started: storyNow.Add(-2 * time.Hour)}
)

func readStory(t *testing.T, head string) View {
	v := View{Now: storyNow, Balancer: "b", Policy: DefaultPolicy(), Observed: storyNow, Generation: storyGen, Backend: Backend{Name: "web"}}
	v.Policy.Mode = Enforce
	into := &v.Backend
	lines := bufio.NewScanner(strings.NewReader(head))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		switch words[0] {
		case "server":
			into.Servers = append(into.Servers, readServer(t, words[1:]))
		case "follower":
			v.Followers = append(v.Followers, Backend{Name: words[1]})
			into = &v.Followers[len(v.Followers)-1]
		default:
			readSetting(t, &v, words[0])
		}
	}
	return v
}

func readSetting(t *testing.T, v *View, word string) {
	key, value, _ := strings.Cut(word, "=")
	number := func() int {
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch key {
	case "observe":
		v.Policy.Mode = Observe
	case "frozen":
		v.Frozen = value
	case "denied":
		v.Denied = value
	case "no-journal":
		v.NoJournal = value
	case "seen":
		v.Observed = storyNow.Add(-age(t, value))
	case "map-hash":
		v.Backend.MapHash = true
	case "orders-only":
		v.Backend.OrdersOnly = value
	case "nbsrv-lt":
		v.Backend.Thresholds = append(v.Backend.Thresholds, Threshold{Op: "lt", Low: number(), High: number(), Place: "haproxy.cfg:9"})
	case "counts":
		v.Backend.Thresholds = append(v.Backend.Thresholds, Threshold{Place: "haproxy.cfg:9"})
	case "min-percent":
		v.Policy.MinPercent = number()
	case "max-ejected":
		v.Policy.MaxEjectedPercent = number()
	case "sidecars":
		v.Fleet.Targets = number()
	case "failing":
		v.Fleet.Failing = number()
	case "fleet-takes":
		v.Fleet.Takes = number()
	default:
		t.Fatalf("no setting %q", word)
	}
}

func age(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// readServer reads one row: up and checked, of weight 10, with a sidecar that passes, unless its words say otherwise.
func readServer(t *testing.T, words []string) Server {
	s := Server{Name: words[0], Address: words[0], Oper: OperUp, Weight: 10, InitialWeight: 10, Checked: true,
		Evidence: Evidence{Status: healthd.Pass, At: storyNow}}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "pass", "warn", "fail", "unknown":
			status, err := healthd.ParseStatus(key)
			if err != nil {
				t.Fatal(err)
			}
			s.Evidence.Status = status
		case "because":
			s.Evidence.Detail = value
		case "heard":
			s.Evidence.At = storyNow.Add(-age(t, value))
		case "stale":
			s.Evidence.Stale = true
		case "down":
			s.Oper = OperDown
		case "maint":
			s.Admin = ForcedMaint
		case "drain":
			s.Admin = ForcedDrain
		case "check-off":
			s.CheckOff = true
		case "checking":
			s.CheckRunning = true
		case "no-check":
			s.Checked = false
		case "agent":
			s.Agent = true
		case "starting":
			s.Oper = OperStarting
		case "config-maint":
			s.Admin |= ConfigMaint
		case "sticky":
			s.Persistent = true
		case "backup":
			s.Backup = true
		case "weight":
			s.Weight = int(age(t, value+"ns"))
		case "initial":
			s.InitialWeight = int(age(t, value+"ns"))
		case "at":
			s.Address = value
		case "tracks":
			s.Tracks = value
		case "pending":
			s.Pending, s.PendingOut = true, true
		case "refused":
			s.RefusedAt = storyNow.Add(-age(t, value))
		case "override":
			s.Override = &Override{}
		case "taken":
			for _, ago := range strings.Split(value, ",") {
				s.TakenAt = append(s.TakenAt, storyNow.Add(-age(t, ago)))
			}
		case "take", "old-take", "half-take":
			s.Take = &Take{Verb: Verb(value), At: storyNow.Add(-3 * time.Second), Generation: storyGen, Weight: 4}
			s.Take.Half = key == "half-take"
			if key == "old-take" {
				s.Take.Generation = oldGen
			}
		case "order", "done-order", "old-order", "expired-order", "expired-found-order":
			s.Order = &Order{Want: Verb(value), By: "alice", Reason: "deploy", Applied: key != "order", Generation: storyGen}
			if key == "old-order" {
				s.Order.Generation = oldGen
			}
			if strings.HasPrefix(key, "expired") {
				s.Order.Until, s.Order.Found = storyNow, key == "expired-found-order"
			}
		default:
			t.Fatalf("no word %q for a server", word)
		}
	}
	return s
}
