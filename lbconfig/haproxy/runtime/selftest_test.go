package runtime

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestSelfTestNamesTheLevelAndChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *farm) {
		before := f.states(t)
		for level, socket := range map[string]string{"admin": f.Socket, "operator": filepath.Join(f.Dir, "operator.sock"), "user": filepath.Join(f.Dir, "user.sock")} {
			c := New(Settings{Address: socket})
			access, err := c.SelfTest(t.Context())
			if access.Level != level || access.Admin != (level == "admin") || access.Info.PID == 0 {
				t.Errorf("%s: %+v, %v", level, access, err)
			}
			report, doErr := c.Do(t.Context(), Generation{}, SetState("web", "app1", Ready))
			if level == "admin" {
				if err != nil || doErr != nil || !report.All(Done) {
					t.Errorf("admin: %v, %v, %+v", err, doErr, report)
				}
				continue
			}
			if !errors.Is(err, ErrLevel) || !strings.Contains(err.Error(), "add `level admin` to the `stats socket` line") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", level, err)
			}
			if doErr != nil || !report.All(Refused) || !errors.Is(report.Results[0].Err, ErrLevel) {
				t.Errorf("%s: %v, %+v", level, doErr, report)
			}
		}
		if after := f.states(t); after != before {
			t.Errorf("%s\nbecame\n%s", before, after)
		}
	})
}
