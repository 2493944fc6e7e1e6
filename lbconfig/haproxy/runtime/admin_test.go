package runtime

import (
	"errors"
	"testing"
)

func TestAdminStatesAndWeights(t *testing.T) {
	steps := []struct {
		command Command
		admin   Admin
		weight  int
		word    Word
	}{
		{SetState("web", "app1", Drain), ForcedDrain, 10, StatusDrain},
		{SetState("web", "app1", Maint), ForcedMaint, 10, StatusMaint}, // maint ends the drain
		{SetState("web", "app1", Drain), ForcedDrain, 10, StatusDrain}, // and drain ends the maint
		{SetState("web", "app1", Ready), 0, 10, StatusUp},
		{SetWeight("web", "app1", Absolute(256)), 0, 256, StatusUp},
		{SetWeight("web", "app1", Percent(55)), 0, 5, StatusUp},
		{SetWeight("web", "app1", Absolute(0)), 0, 0, StatusUp},
		{SetState("web", "app1", Maint), ForcedMaint, 0, StatusMaint},
		{SetWeight("web", "app1", Percent(100)), ForcedMaint, 10, StatusMaint},
		{SetState("web", "app1", Ready), 0, 10, StatusUp},
		{SetHealth("follow", "off", Up), ConfigMaint | ForcedMaint, 1, StatusMaint},
	}
	each(t, func(t *testing.T, f *farm) {
		for i, step := range steps {
			report, err := f.client.Apply(t.Context(), Generation{}, step.command)
			s, r := f.server(t, step.command.Backend, step.command.Server), f.row(t, step.command.Backend, step.command.Server)
			t.Logf("%v: %v %v: %v %d %s", step.command, report.Results, err, s.Admin, s.Weight, r.Status.Raw)
			if s.Admin != step.admin || s.Weight != step.weight || r.Status.Word != step.word {
				t.Errorf("step %d, %v: %+v %+v, want admin %v, weight %d, word %d", i, step.command, s, r.Status, step.admin, step.weight, step.word)
			}
		}
	})
}

func TestWhatHAProxyRefusesIsRefused(t *testing.T) {
	refusals := map[string]struct {
		command Command
		cause   error
	}{
		"no such server":                   {SetState("web", "nope", Drain), ErrUnknown},
		"no such backend":                  {SetState("nope", "app1", Drain), ErrUnknown},
		"no such session":                  {ShutSession(0x1), ErrUnknown},
		"a tracking server has no health":  {SetHealth("follow", "t1", Down), ErrSaid},
		"sessions of a server not there":   {ShutSessions("web", "nope"), ErrUnknown},
		"checks of a server not there":     {EnableChecks("web", "nope"), ErrUnknown},
		"weight of a server not there":     {SetWeight("web", "nope", Percent(0)), ErrUnknown},
		"health of a backend not there":    {SetHealth("nope", "app1", Up), ErrUnknown},
		"no checks of a backend not there": {DisableChecks("nope", "app1"), ErrUnknown},
	}
	each(t, func(t *testing.T, f *farm) {
		before := f.states(t)
		for name, r := range refusals {
			report, err := f.client.Do(t.Context(), Generation{}, r.command)
			if err != nil || !report.All(Refused) || report.Results[0].Said == "" || !errors.Is(report.Results[0].Err, r.cause) {
				t.Errorf("%s: %+v, %v", name, report.Results, err)
			}
		}
		report, err := f.client.Apply(t.Context(), Generation{}, SetState("web", "nope", Drain), SetState("web", "app2", Drain))
		if err != nil || report.Results[0].Outcome != Refused || report.Results[1].Outcome != Done {
			t.Errorf("a batch goes on behind a refusal: %+v, %v", report.Results, err)
		}
		f.apply(t, SetState("web", "app2", Ready))
		if after := f.states(t); after != before {
			t.Errorf("%s\nbecame\n%s", before, after)
		}
		if _, err := f.client.ServersState(t.Context(), "nope", func(*ServerState) error { return nil }); !errors.Is(err, ErrUnknown) {
			t.Errorf("a backend that is not there: %v", err)
		}
	})
}
