package probe

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// A snapshot that an earlier version wrote, before there were weights, latencies and holds.
func TestSnapshotOfAnEarlierVersionIsServed(t *testing.T) {
	text, err := os.ReadFile("../testdata/snapshot-of-0.1.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, snapshotFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := loadSnapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	services := []Service{{Name: "web", Checks: []Check{{Name: "app", Kind: "http"}, {Name: "orders", Kind: "tcp", Impact: healthd.Degrade}}}}
	s := healthd.Restart(fresh("def", services), old, old.At.Add(time.Second))
	web, _ := s.Service("web")
	app, _ := web.Check("app")
	if web.Status != healthd.Fail || !web.Stale || web.Weight != 100 || app.Verdict.Status != healthd.Fail || app.Verdict.Since.IsZero() || s.Generation <= old.Generation {
		t.Errorf("read as %+v", web)
	}
	v := app.Verdict
	for range healthd.DefaultRule.Rise {
		v = v.Step(healthd.NewOutcome(old.At.Add(2*time.Second), 0, healthd.OK, ""), healthd.Rule{})
	}
	if v.Status != healthd.Pass {
		t.Errorf("after two passes: %+v", v)
	}
}

// Whatever the file says, the sidecar runs, and what is measured now decides soon.
func FuzzSnapshotFile(f *testing.F) {
	old, err := os.ReadFile("../testdata/snapshot-of-0.1.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(old)
	for _, check := range []string{
		`{}`, `null`,
		`{"verdict":{"status":"fail","raw":"pass","held":"9999-01-01T00:00:00Z","grace":"9999-01-01T00:00:00Z","flap":{"penalty":1e308,"at":"9999-01-01T00:00:00Z","damped":true,"until":"9999-01-01T00:00:00Z"}}}`,
		`{"verdict":{"status":"pass","pace":{"steps":255,"slow":65535,"good":65535},"streak":{"fails":-9223372036854775808}},"latency":{"n":-1,"p50":"1h"},"need":-5,"group":"g"}`,
		`{"verdict":{"status":"warn","measured":"9999-01-01T00:00:00Z"},"suspect":true,"stale":true,"awaited":false,"brought":false,"max_age":-1}`,
	} {
		merged := map[string]any{}
		if err := json.Unmarshal([]byte(check), &merged); err != nil {
			f.Fatal(err)
		}
		if merged == nil {
			merged = map[string]any{}
		}
		merged["name"], merged["kind"], merged["target"] = "app", "http", "http://127.0.0.1:8080/"
		text, err := json.Marshal(map[string]any{"instance": "abc", "generation": 7, "at": "2000-01-01T00:00:00Z",
			"services": []any{map[string]any{"name": "web", "status": "fail", "weight": -5, "floor": 900, "checks": []any{merged}}}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		synctest.Test(t, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, snapshotFile), text, 0o600); err != nil {
				t.Fatal(err)
			}
			services := web()
			services[0].Checks[0].Shared = true
			services[0].Checks[0].Rule = healthd.Rule{HoldDown: 10 * time.Second, Grace: 5 * time.Second, Latency: healthd.LatencyRule{Warn: time.Second},
				Damping: healthd.Damping{Suppress: 1, HalfLife: 10 * time.Second, MaxSuppress: 20 * time.Second}}
			b, err := NewBoard(Settings{Services: services, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				tell(b, healthd.Refused, 5)
				tell(b, healthd.OK, 5)
			}
			time.Sleep(20 * time.Second)
			tell(b, healthd.OK, 60)
			svc, _ := b.Latest().Service("web")
			if status(b) != "pass" || svc.Weight != 100 || svc.Suspect != nil {
				t.Errorf("%s, weight %d, suspect %v", status(b), svc.Weight, svc.Suspect)
			}
			b.flush(time.Now())
			if err := saveSnapshot(dir, b.Latest()); err != nil {
				t.Fatal(err)
			}
			if read, err := loadSnapshot(dir); err != nil || !reflect.DeepEqual(asRead(b.Latest()), read) {
				t.Errorf("%v: read\n%+v\nwant\n%+v", err, read, b.Latest())
			}
		})
	})
}

// asRead is a snapshot as it comes back from disk: without the monotonic clock, and in UTC.
func asRead(s *healthd.Snapshot) *healthd.Snapshot {
	text, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	var read *healthd.Snapshot
	if err := json.Unmarshal(text, &read); err != nil {
		return nil
	}
	return read
}
